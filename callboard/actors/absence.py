"""Who is gone: what the manager makes of deaths and of peers that cannot be reached. Lives in the manager's thread."""

from __future__ import annotations

from callboard.actors.courier import Peer
from callboard.actors.dispatch.dispatcher import Dispatcher
from callboard.actors.note import SEATS
from callboard.actors.reception import Reception
from callboard.actors.supervisor import Death, Expected

CLIENT_PATIENCE = 300.0
"""Seconds for which results, and the rules that start tasks, are kept for a client that cannot be reached."""
UNREACHABLE_PATIENCE = 0.25
"""Seconds to wait for the supervisor's word about a local worker that cannot be reached: it knows what was running."""


class Absences:
    """Tells the dispatcher who is lost, each by what is known of it."""

    def __init__(self, dispatcher: Dispatcher, reception: Reception) -> None:
        self._dispatcher = dispatcher
        self._reception = reception

    def expected(self, news: Expected, now: float) -> None:
        """The supervisor starts a worker, or does so no longer."""
        expected = self._dispatcher.roster.expected
        if news.gone:
            expected.pop(news.seat, None)
            self._dispatcher.endings.notice_worker("worker.lost", news.name, {"reason": "it is not started again"}, now)
            self._dispatcher.check_short(now)
        else:
            expected[news.seat] = news.role, news.skills

    def died(self, death: Death, now: float) -> None:
        """The process of a local worker has ended."""
        peer = self._reception.by_token(death.token)
        if peer is None:
            self._reception.too_late.add(death.token)
            return
        if death.code == 0:
            self._dispatcher.leaving(peer.identity, now)  # it ended in order, and its own word of that is still on the way
        worker = self._dispatcher.roster.workers.get(peer.identity)
        known = [] if worker is None else list(worker.inflight)
        noted = death.running
        running = known if noted is None else [task_id for task_id in known if task_id.encode()[:63] in noted]
        certain = worker is None or worker.info.slots + len(worker.parked) <= SEATS
        self._reception.forget(peer)
        self._dispatcher.lost(peer.identity, now, death.reason, running if certain else None, death.ordered)

    def missed(self, peer: Peer, reason: str, now: float) -> None:
        """A peer cannot be reached. Of a local worker's death the supervisor knows more, and says it at once."""
        if peer.kind == "client":
            self._miss(peer, now)
        elif peer.token is None:
            self._reception.forget(peer)
            self._dispatcher.lost(peer.identity, now, reason)
        elif not peer.unreachable:
            peer.unreachable = True
            self._dispatcher.agenda.at(now + UNREACHABLE_PATIENCE, self._still_unreachable, (peer, reason))

    def _miss(self, peer: Peer, now: float) -> None:
        # A client may be cut off for a while; what ends meanwhile is kept for it.
        if not peer.unreachable:
            peer.unreachable, peer.unreachable_since = True, now
            self._dispatcher.agenda.at(now + CLIENT_PATIENCE, self._forget_client, peer)

    def _forget_client(self, peer: Peer, now: float) -> None:
        if peer.unreachable and now >= peer.unreachable_since + CLIENT_PATIENCE and self._reception.peers.get(peer.identity) is peer:
            self._reception.forget(peer)

    def _still_unreachable(self, subject: tuple[Peer, str], now: float) -> None:
        peer, reason = subject
        if peer.unreachable and self._reception.peers.get(peer.identity) is peer:
            self._reception.forget(peer)
            self._dispatcher.lost(peer.identity, now, reason)
