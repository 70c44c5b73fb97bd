"""The manager's shell as the simulation needs it: peers, acknowledgements, and carrying out what the dispatcher decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from callboard.actors.dispatch.command import Assign, Command, Deliver, Halt, Kill, Recall, Retold
from callboard.actors.dispatch.dispatcher import Dispatcher
from callboard.actors.dispatch.entry import Entry
from callboard.actors.dispatch.ledger import Ledger
from callboard.actors.dispatch.matcher import MAX_FENCES
from callboard.actors.dispatch.record import WorkerInfo
from callboard.actors.reception import GRACE
from callboard.actors.sequence import Heard, Kept, Verdict
from callboard.messages.errors import CallboardError
from callboard.messages.status import TaskStatus
from callboard.messages.task import Submission
from callboard.messages.wire import Report
from tests.simulation.invariant import Invariants

if TYPE_CHECKING:
    from tests.simulation.world import Actor, World


class Outcome:
    """What a client is told of one task."""

    __slots__ = ("error", "failure_name", "status", "task_id")

    def __init__(self, task_id: str, status: TaskStatus, error: str | None, failure_name: str | None) -> None:
        self.task_id = task_id
        self.status = status
        self.error = error
        self.failure_name = failure_name

    @classmethod
    def of(cls, entry: Entry | Retold) -> Outcome:
        """How a task ended, by its record."""
        return cls(entry.task_id, entry.status, entry.error, entry.failure.type_name if entry.failure else None)

    @classmethod
    def refusal(cls, submission: Submission, error: CallboardError) -> Outcome:
        """The outcome of what was not accepted."""
        return cls(submission.task_id, TaskStatus.FAILED, str(error), type(error).__name__)


class Peer:
    """What the manager remembers of one that said hello."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.reports = Heard()
        self.hello = 0
        self.rejoining = False
        self.deliveries: Kept[list[Outcome]] = Kept()


class Manager:
    """One epoch of a manager."""

    def __init__(self, world: World, epoch: int) -> None:
        self.world = world
        self.epoch = epoch
        ledger = Ledger(kept_bytes=world.random.choice([0, 20, 10_000]))
        self.dispatcher = Dispatcher(max_worker_deaths=3, random=world.random.random, ledger=ledger, fences=epoch * MAX_FENCES)
        self.peers: dict[str, Peer] = {}
        self.invariants = Invariants(world, self.dispatcher)
        self._open_to_all = world.clock.now + world.DOWN + GRACE
        self._wake_at: float | None = None

    # -- what comes in ------------------------------------------------------------------------

    def hear(self, actor: Actor, kind: str, *body: Any) -> None:
        """A peer says something."""
        peer = self.peers.get(actor.identity)
        if kind == "hello":
            self._hello(actor, *body)
        elif peer is None:
            self._send(actor, "rejoin")
        else:
            getattr(self, f"_{kind}")(peer, *body)
        self.step()

    def _hello(
        self,
        actor: Actor,
        number: int,
        info: WorkerInfo | None,
        held: list[tuple[str, int]],
        epoch: int | None,
        leaving: bool,
        heard: int,
    ) -> None:
        peer = self.peers.get(actor.identity)
        if peer is None:
            peer = self.peers[actor.identity] = Peer(actor)
        peer.hello = number
        peer.rejoining = False
        peer.reports.settled(heard)
        wait = self._open_to_all - self.world.clock.now
        if info is None and epoch not in (None, self.epoch) and wait > 0.0:
            self.world.clock.after(wait, self._welcome, peer, number)
        else:
            self._welcome(peer, number)
        if info is not None:
            drop = self.dispatcher.join(info, self.world.clock.now, 0.0, held, epoch in (None, self.epoch))
            if drop:
                self._send(actor, "halt", drop, False)
            if leaving:
                self.dispatcher.leaving(actor.identity, self.world.clock.now)

    def _welcome(self, peer: Peer, number: int) -> None:
        current = self.world.manager is self and self.peers.get(peer.actor.identity) is peer
        if not current or peer.hello != number:
            return
        self._send(peer.actor, "welcome", number, self.epoch, peer.deliveries.settled)
        for delivery, outcomes in enumerate(peer.deliveries, peer.deliveries.settled + 1):
            self._send(peer.actor, "deliver", delivery, outcomes)

    def _submit(self, peer: Peer, submissions: list[Submission], again: bool) -> None:
        refused = self.dispatcher.submit(peer.actor.identity, submissions, self.world.clock.now, 0.0, again)
        self.invariants.submitted(submissions, [submission for submission, _ in refused])
        if refused:
            self._deliver(peer, [Outcome.refusal(submission, error) for submission, error in refused])

    def _cancel(self, peer: Peer, ids: list[str], force: bool) -> None:
        self.dispatcher.cancel(ids, force, self.world.clock.now)

    def _ack(self, peer: Peer, number: int) -> None:
        peer.deliveries.acknowledged(number)

    def _report(self, peer: Peer, report: Report, outputs: list[bytes]) -> None:
        verdict = peer.reports.judge(report.number)
        if verdict is Verdict.AGAIN:
            self._send(peer.actor, "probe", peer.reports.upto)
            return
        known = verdict is Verdict.NEXT and self.dispatcher.report(peer.actor.identity, report, outputs, self.world.clock.now)
        if not known:
            if not peer.rejoining:
                peer.rejoining = True
                self._send(peer.actor, "rejoin")
            return
        self.invariants.reported(report, outputs)
        peer.reports.take(report.number)
        self._send(peer.actor, "probe", peer.reports.upto)

    def _hand_back(self, peer: Peer, ids: list[str], fences: list[int]) -> None:
        self.dispatcher.hand_back(peer.actor.identity, ids, fences, self.world.clock.now)

    def _park(self, peer: Peer, task_id: str, fence: int, parked: bool) -> None:
        self.dispatcher.park(peer.actor.identity, task_id, parked, self.world.clock.now, fence)

    def _leaving(self, peer: Peer) -> None:
        self.dispatcher.leaving(peer.actor.identity, self.world.clock.now)
        self._send(peer.actor, "probe", peer.reports.upto)

    def _goodbye(self, peer: Peer) -> None:
        self.dispatcher.leaving(peer.actor.identity, self.world.clock.now)
        self.lost(peer.actor.identity, "left", [])

    # -- what the shell finds out -----------------------------------------------------------------

    def lost(self, identity: str, reason: str, running: list[str] | None = None, ordered: bool = False) -> None:
        """A peer is gone; of a local worker's tasks it is known which were running, and whether it was told to end."""
        if self.peers.pop(identity, None) is not None:
            self.world.note("lost", identity, running)
            self.invariants.before_loss(identity)
            self.dispatcher.lost(identity, self.world.clock.now, reason, running, ordered)
            self.invariants.after_loss(running, ordered)
            self.step()

    def expect(self, seat: str, info: WorkerInfo) -> None:
        """A local worker is being started."""
        self.dispatcher.roster.expected[seat] = info.role, info.skills

    # -- what goes out ------------------------------------------------------------------------

    def step(self) -> None:
        """Have the dispatcher decide, and carry it out."""
        now = self.world.clock.now
        commands = self.dispatcher.flush(now)
        while commands:
            for command in commands:
                self._carry_out(command)
            commands = self.dispatcher.flush(now)
        self.invariants.check()
        due = self.dispatcher.agenda.next()
        if due is not None and (self._wake_at is None or due < self._wake_at):
            self._wake_at = due
            self.world.clock.after(max(0.0, due - now), self._wake, due)

    def _wake(self, due: float) -> None:
        if self.world.manager is self and self._wake_at == due:
            self._wake_at = None
            self.step()

    def _assign(self, worker_id: str, entries: list[Entry]) -> None:
        nonces = self.invariants.assigned(worker_id, entries)
        peer = self.peers.get(worker_id)
        self.world.note("assign", worker_id, [(entry.task_id, entry.fence) for entry in entries])
        if peer is not None:
            specs = [(entry.task_id, entry.fence, entry.category.spec) for entry in entries]
            rows = [(*spec, nonce) for spec, nonce in zip(specs, nonces, strict=True)]
            self._send(peer.actor, "assign", rows, peer.reports.upto)

    def _carry_out(self, command: Command) -> None:
        if isinstance(command, Assign):
            for worker_id, entries in command.by_worker.items():
                self._assign(worker_id, entries)
        elif isinstance(command, Deliver):
            self.invariants.delivered(command)
            peer = self.peers.get(command.client)
            if peer is not None:
                self._deliver(peer, [Outcome.of(entry) for entry in command.entries])
        elif isinstance(command, Recall | Halt):
            peer = self.peers.get(command.worker_id)
            if peer is not None and isinstance(command, Recall):
                self._send(peer.actor, "recall", command.ids)
            elif peer is not None and isinstance(command, Halt):
                self._send(peer.actor, "halt", command.ids, command.force)
        elif isinstance(command, Kill):
            self._kill(command)

    def _kill(self, command: Kill) -> None:
        peer = self.peers.get(command.worker_id)
        if peer is not None and peer.actor.local:
            self.world.clock.after(self.world.random.choice((0.002, 0.5)), self.world.kill, peer.actor)
        else:
            self.lost(command.worker_id, command.reason)

    def _deliver(self, peer: Peer, outcomes: list[Outcome]) -> None:
        number = peer.deliveries.next
        peer.deliveries.add(outcomes)
        self._send(peer.actor, "deliver", number, outcomes)

    def _send(self, actor: Actor, kind: str, *body: Any) -> None:
        actor.link.send(True, actor.hear, kind, *body)
