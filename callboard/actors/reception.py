"""Who the manager's peers are, and what becomes of what they say. Lives in the manager's thread."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import zmq

from callboard.actors.courier import Missed, Peer
from callboard.actors.dispatch.command import Notice
from callboard.actors.dispatch.record import WorkerInfo
from callboard.actors.dispatch.rule import Rule
from callboard.actors.ended import Ended
from callboard.actors.frame import send_frames
from callboard.actors.gate import user_of
from callboard.actors.peer import Versions, incompatible
from callboard.actors.sequence import Verdict
from callboard.events.topic import Pattern
from callboard.messages.codec import Packed, decode, encode
from callboard.messages.errors import CallboardError, WireError
from callboard.messages.failure import Failure
from callboard.messages.task import Submission
from callboard.messages.wire import (
    Ack,
    Answer,
    AnyMessage,
    Ask,
    Cancel,
    Drop,
    Dumped,
    Goodbye,
    HandBack,
    Hello,
    Leaving,
    Park,
    Probe,
    Put,
    Refusal,
    Rejoin,
    Report,
    Say,
    Submit,
    Welcome,
)
from callboard.messages.wire import Halt as HaltMessage

if TYPE_CHECKING:
    from callboard.actors.manager import TaskManager

logger = logging.getLogger("callboard")

MAX_STRIKES = 10
"""Messages that are none, after which a peer is heard no more."""
MAX_BANNED = 10_000
"""How many are remembered that are heard no more, and how many that said something of the kind; the latest."""
GRACE = 1.0
"""Seconds after its start within which a manager keeps clients of an earlier one waiting for their welcome: what they submit
again may still be run, or be held, by workers that look for the way back twice a second."""
PROMPT_ACK = 1024 * 1024
"""A report of more bytes is acknowledged at once, so that the worker need not keep it."""


class Reception:
    """Hears the peers and tells the dispatcher."""

    def __init__(self, manager: TaskManager) -> None:
        self._manager = manager
        self._dispatcher = manager.dispatcher
        self.peers: dict[str, Peer] = {}
        self.malformed = 0
        self.too_late: set[str] = set()
        """Tokens of local workers whose processes ended before their hello was heard."""
        self._tokens: dict[str, Peer] = {}
        self._strikes: dict[str, int] = {}
        self._banned: dict[str, int] = {}
        self._mine = Versions.here()
        self._open_to_all = time.monotonic() + GRACE

    def by_token(self, token: str) -> Peer | None:
        """The peer that a local child's token belongs to."""
        return self._tokens.get(token)

    def forget(self, peer: Peer) -> None:
        """The peer is gone."""
        self.peers.pop(peer.identity, None)
        if peer.token is not None:
            self._tokens.pop(peer.token, None)
        self._dispatcher.endings.rules.drop_client(peer.identity)
        self._dispatcher.ledger.values.drop_client(peer.identity)

    def hear(self, frames: list[zmq.Frame], now: float) -> None:
        """Deal with one message."""
        identity = frames[0].bytes.decode("latin-1")
        if identity in self._banned:
            return
        peer = self.peers.get(identity)
        if peer is None or peer.user is not None:
            user = user_of(frames)
            if user is not None and not self._is_genuine(peer, user):
                return
        else:
            user = None
        try:
            message, payloads = decode(frames[1:])
            if isinstance(message, Hello):
                self._hello(identity, user, message, now)
            elif peer is not None:
                self._dispatch(peer, message, payloads, now)
            elif not isinstance(message, Goodbye):
                self._send_stranger(identity, Rejoin())
        except Missed:
            if peer is not None:
                self._ask_again(peer, now)
        except WireError as error:
            self._strike(identity, peer, error, now)

    def _is_genuine(self, peer: Peer | None, user: str) -> bool:
        """Whether the key is the one that the peer came with, and still holds."""
        if peer is None:
            return not self._manager.gate.authenticator.is_revoked(user)
        return user == peer.user

    def expel(self, user: str, now: float) -> None:
        """Part from all who came by a key."""
        for peer in [peer for peer in self.peers.values() if peer.user == user]:
            logger.warning("%s %r is cut off: its key was revoked", peer.kind, peer.name)
            self._send_stranger(peer.identity, Refusal(reason="its key was revoked"))
            self.forget(peer)
            self._dispatcher.lost(peer.identity, now, "was cut off, since its key was revoked")

    def _strike(self, identity: str, peer: Peer | None, error: WireError, now: float) -> None:
        self.malformed += 1
        strikes = self._strikes.pop(identity, 0) + 1
        if peer is not None:
            logger.warning("%s %r sent what is no message (%d): %s", peer.kind, peer.name, strikes, error)
        if strikes < MAX_STRIKES:
            _note(self._strikes, identity, strikes)
            return
        who = f"{peer.kind} {peer.name!r}" if peer is not None else "somebody who has not said hello"
        logger.error("%s is struck off after %d such messages", who, strikes)
        _note(self._banned, identity, strikes)
        if peer is not None:
            self.forget(peer)
            self._dispatcher.lost(identity, now, "was struck off, since it sent what is no message")

    def _send_stranger(self, identity: str, message: AnyMessage) -> None:
        try:
            send_frames(self._manager.router, [identity.encode("latin-1"), *encode(message)])
        except zmq.ZMQError:
            pass  # a stranger that has gone

    # -- joining ----------------------------------------------------------------------------

    def _hello(self, identity: str, user: str | None, message: Hello, now: float) -> None:
        refusal, warning = incompatible(message, self._mine)
        if refusal is not None:
            logger.warning("refused %s %r: %s", message.peer, message.name, refusal)
            self._send_stranger(identity, Refusal(reason=refusal))
            return
        if warning is not None:
            logger.warning("%s %r: %s", message.peer, message.name, warning)
        if message.token in self.too_late:
            return
        if message.token is not None and user is not None:
            raise WireError("a token is for local workers, which come by the file system")
        peer = self.peers.get(identity)
        if peer is not None and (peer.kind, peer.token) != (message.peer, message.token):
            raise WireError("a peer that says hello again as somebody else")
        if peer is None:
            peer = self.peers[identity] = Peer(identity, message.peer, message.name, message.token, user)
            if message.token is not None:
                self._tokens[message.token] = peer
        peer.hello = message.number
        peer.reports.settled(message.heard)
        if message.peer == "worker":
            # Before anything is sent: if that fails, since the peer is gone already, the worker is lost again.
            drop = self._worker_joins(peer, message, now)
            self._welcome((peer, message.number), now)
            self._manager.send(peer, encode(self._manager.watch()), now)
            if drop:
                self._manager.send(peer, encode(HaltMessage(ids=drop)), now)
        elif message.epoch in (None, self._manager.epoch) or now >= self._open_to_all:
            self._welcome((peer, message.number), now)
        else:
            self._dispatcher.agenda.at(self._open_to_all, self._welcome, (peer, message.number))
        if self._manager.dismissed:
            self._manager.send(peer, encode(Goodbye()), now)

    def _welcome(self, subject: tuple[Peer, int], now: float) -> None:
        peer, number = subject
        if self.peers.get(peer.identity) is not peer or peer.hello != number:
            return
        again = peer.reconnected()
        manager = self._manager
        welcome = Welcome(
            epoch=manager.epoch,
            answers=number,
            settled=peer.settled,
            manager=manager.settings.name,
            events_endpoint=manager.gate.events_endpoint if peer.token is not None else None,
            events_port=manager.gate.events_port,
            max_payload=manager.settings.max_payload,
        )
        manager.send(peer, encode(welcome), now)
        for frames in again:
            manager.send(peer, frames, now)

    def _worker_joins(self, peer: Peer, message: Hello, now: float) -> list[str]:
        """Have the dispatcher know the worker; returns what it should drop."""
        info = WorkerInfo(
            peer.identity, message.name, message.role, dict(message.skills), message.slots, message.pid, message.host, message.token
        )
        running = list(zip(message.ids, message.fences, strict=True))
        manager = self._manager
        drop = self._dispatcher.join(info, now, time.time(), running, message.epoch in (None, manager.epoch))
        if message.leaving:
            self._dispatcher.leaving(peer.identity, now)
        if message.token is not None and manager.supervisor is not None:
            token = message.token
            manager.supervisor.mailbox.post(lambda supervisor: supervisor.joined(token))
        return drop

    # -- all else ---------------------------------------------------------------------------

    def _dispatch(self, peer: Peer, message: AnyMessage, payloads: list[Packed], now: float) -> None:
        dispatcher = self._dispatcher
        identity = peer.identity
        peer.unreachable = False
        if isinstance(message, Report):
            self._report(peer, message, payloads, now)
        elif isinstance(message, Submit):
            self._submit(peer, message, payloads, now)
        elif isinstance(message, HandBack):
            dispatcher.hand_back(identity, message.ids, message.fences, now)
        elif isinstance(message, Ack):
            peer.acknowledged(message.number)
        elif isinstance(message, Say):
            self._say(peer, message, payloads)
        elif isinstance(message, Park):
            dispatcher.park(identity, message.task_id, message.parked, now, message.fence)
        elif isinstance(message, Cancel):
            dispatcher.cancel(message.ids, message.force, now)
        elif isinstance(message, Leaving):
            dispatcher.leaving(identity, now)
            self._manager.send(peer, encode(Probe(acked=peer.acked)), now)
        elif isinstance(message, Goodbye):
            dispatcher.leaving(identity, now)
            self.forget(peer)
            dispatcher.lost(identity, now, "left", [])  # in order: what it handed back or never began is nobody's fault
        elif isinstance(message, Ask):
            self._ask(peer, message, now)
        elif isinstance(message, Put):
            self._put(peer, message, payloads, now)
        elif isinstance(message, Drop):
            for value_id in message.ids:
                dispatcher.ledger.values.drop(value_id)
        elif isinstance(message, Dumped):
            self._manager.dumps.heard(identity, message)
        else:
            raise WireError(f"a {peer.kind} has no business to say {message.kind!r}")

    def _report(self, peer: Peer, message: Report, payloads: list[Packed], now: float) -> None:
        if peer.kind != "worker" or len(payloads) != len(message.ids):
            raise WireError("a report without a worker, or with fewer outputs than rows")
        verdict = peer.reports.judge(message.number)
        if verdict is Verdict.AGAIN:
            self._manager.send(peer, encode(Probe(acked=peer.acked)), now)
            return
        if verdict is Verdict.GAP or not self._dispatcher.report(peer.identity, message, payloads, now):
            self._ask_again(peer, now)
            return
        peer.reports.take(message.number)
        worker = self._dispatcher.roster.workers.get(peer.identity)
        if (worker is not None and worker.leaving) or sum(message.sizes or ()) > PROMPT_ACK or message.large:
            self._manager.send(peer, encode(Probe(acked=peer.acked)), now)

    def _ask_again(self, peer: Peer, now: float) -> None:
        """Something of what it said has not come: it says all of that again after its next hello."""
        if not peer.rejoining:
            peer.rejoining = True
            self._manager.send(peer, encode(Rejoin()), now)

    def _submit(self, peer: Peer, message: Submit, payloads: list[Packed], now: float) -> None:
        submissions = peer.submissions(message, payloads, self._manager.codes)
        if message.rule is not None:
            self._add_rule(peer, message, submissions, now)
            return
        refused = self._dispatcher.submit(peer.identity, submissions, now, time.time(), message.again)
        failure = Failure.of(refused[0][1]) if refused else None
        if message.ask is not None:
            self._manager.send(peer, encode(Answer(number=message.ask, failure=failure)), now)
        elif refused:
            ended = [Ended.by(submission.task_id, submission.name, error) for submission, error in refused]
            self._manager.send(peer, peer.deliver(ended), now)

    def _put(self, peer: Peer, message: Put, payloads: list[Packed], now: float) -> None:
        if len(payloads) != 1:
            raise WireError("a value to be put without its one payload")
        self._dispatcher.ledger.values.put(message.id, peer.identity, payloads[0])
        self._manager.send(peer, encode(Answer(number=message.ask)), now)

    def _add_rule(self, peer: Peer, message: Submit, submissions: list[Submission], now: float) -> None:
        terms = message.rule
        if terms is None or message.ask is None or len(submissions) != 1:
            raise WireError("a rule needs one task and the number of its question")
        try:
            self._manager.add_rule(Rule(terms.rule_id, Pattern(terms.pattern), terms.where, submissions[0], peer.identity))
            failure = None
        except CallboardError as error:
            failure = Failure.of(error)
        self._manager.send(peer, encode(Answer(number=message.ask, failure=failure)), now)

    def _say(self, peer: Peer, message: Say, payloads: list[Packed]) -> None:
        rich = payloads[0] if message.rich and payloads else None
        entry = self._dispatcher.ledger.find(message.task_id) if message.task_id is not None else None
        name = entry.name if entry is not None else None
        worker = peer.name if peer.kind == "worker" else None
        self._manager.say(Notice(message.topic, message.task_id, name, worker, message.data, rich, message.time), message.task_id)

    def _ask(self, peer: Peer, message: Ask, now: float) -> None:
        try:
            value = self._manager.ask(peer.identity, message.what, message.arguments)
            if isinstance(value, Future):
                value.add_done_callback(lambda later: self._answer_later(peer, message.number, later))
                return
            answer = Answer(number=message.number, value=value)
        except CallboardError as error:
            answer = Answer(number=message.number, failure=Failure.of(error))
        except (KeyError, TypeError, ValueError) as error:
            raise WireError(f"a question {message.what!r} that cannot be understood: {error!r}") from None
        self._manager.send(peer, encode(answer), now)

    def _answer_later(self, peer: Peer, number: int, later: Future[Any]) -> None:
        # When the manager ends it says goodbye instead; and who asked may have gone.
        if later.exception() is None and self.peers.get(peer.identity) is peer:
            self._manager.send(peer, encode(Answer(number=number, value=later.result())), time.monotonic())


def _note(known: dict[str, int], identity: str, strikes: int) -> None:
    known[identity] = strikes
    if len(known) > MAX_BANNED:
        del known[next(iter(known))]
