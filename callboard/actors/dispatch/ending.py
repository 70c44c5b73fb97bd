"""How tasks end, and all that follows: deliveries, dependents, followers, fallbacks, circuits, events."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

from callboard.actors.dispatch.agenda import Agenda
from callboard.actors.dispatch.command import Deliver, Notice, Outbox, Warn
from callboard.actors.dispatch.entry import Entry, Held, Rare
from callboard.actors.dispatch.ledger import HISTORY, Ledger
from callboard.actors.dispatch.rule import RuleBook
from callboard.messages.codec import pack
from callboard.messages.errors import CallboardError, ChainTooDeep, CircuitOpen, OutputReleased
from callboard.messages.failure import Failure
from callboard.messages.status import TaskStatus
from callboard.messages.task import Submission
from callboard.resilience.circuit import Circuit, Transition

PENDING, COMPLETED = TaskStatus.PENDING, TaskStatus.COMPLETED
FAILED, CANCELLED, SKIPPED = TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.SKIPPED


class Endings:
    """Carries out the ending of tasks on the ledger; what is to be told goes to the outbox."""

    def __init__(
        self,
        ledger: Ledger,
        outbox: Outbox,
        agenda: Agenda,
        submit_held: Callable[[Held, float], None],
        make_ready: Callable[[Entry, float], None],
        max_chain: int,
    ) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._agenda = agenda
        self._submit_held = submit_held
        self._make_ready = make_ready
        self._keys: OrderedDict[str, Entry] = OrderedDict()
        self._circuits: dict[str, Circuit] = {}
        self._ended: deque[tuple[Entry, float]] = deque()
        self._working = False
        self.rules = RuleBook(max_chain)
        self.wanted: set[str] = set()
        """Topics of tasks and workers that somebody listens to; for others nothing is built."""

    # -- endings ----------------------------------------------------------------------------

    def complete(self, entry: Entry, now: float) -> None:
        """The task completed; its output stands in the entry."""
        entry.status = COMPLETED  # checked by nobody: each caller has just taken the entry from those that run
        entry.error = None
        entry.failure = None
        if entry.category.breaker_key is not None:
            self._circuit_tells(entry, self._circuit(entry).succeeded(now), now)
        self._finish(entry, now)

    def fail(self, entry: Entry, now: float, error: CallboardError | None = None) -> None:
        """The task failed for good, by ``error`` or by what stands in the entry; a fallback may stand in."""
        if error is not None:
            entry.error, entry.failure, entry.output = str(error), Failure.of(error), None
        if entry.category.breaker_key is not None and not isinstance(error, CircuitOpen):
            self.circuit_failed(entry, now)
        submission = entry.submission
        fallback = submission.fallback if submission is not None else None
        if fallback is None:
            entry.become(FAILED)
            self._finish(entry, now)
        elif isinstance(fallback, Submission):
            self._stand_in(entry, fallback, now)
        else:
            entry.output = pack(fallback)
            entry.become(COMPLETED)
            self._finish(entry, now)

    def _stand_in(self, entry: Entry, fallback: Submission, now: float) -> None:
        if entry.status is not PENDING:
            entry.become(PENDING)
        entry.worker = None
        rare = Rare()
        rare.stand_in_for = entry
        self._submit_held(Held(fallback, entry.client, rare), now)

    def cancel(self, entry: Entry, now: float, why: str | None = None) -> None:
        """The task ends cancelled."""
        entry.error = why or "cancelled"
        entry.failure = None
        entry.output = None
        entry.become(CANCELLED)
        self._finish(entry, now)

    def skip(self, entry: Entry, because: Entry, now: float) -> None:
        """The task never runs, since a dependency did not complete."""
        entry.error = f"dependency {because.name!r} ({because.task_id}) {because.status.value}"
        entry.become(SKIPPED)
        self._finish(entry, now)

    def _finish(self, entry: Entry, now: float) -> None:
        # Through a row, not by recursion: a failed head of a chain of ten thousand skips them all.
        self._ended.append((entry, now))
        if self._working:
            return
        self._working = True
        try:
            while self._ended:
                self._conclude(*self._ended.popleft())
        finally:
            self._working = False

    def _conclude(self, entry: Entry, now: float) -> None:
        entry.worker = None
        delivered = self._outbox.delivered
        if entry.client in delivered:
            delivered[entry.client].append(entry)
        else:
            delivered[entry.client] = [entry]
        status = entry.status
        if self.wanted:
            self._tell_end(entry, now)
        if entry.category.spec.expires_in is not None:
            entry.category.requirement.waiting.pop(entry.task_id, None)
        rare = entry.rare
        for dependent in self._ledger.end(entry):
            if dependent.status is not PENDING:
                continue
            dependent.waiting_for -= 1
            if status is not COMPLETED:
                self.skip(dependent, entry, now)
            elif dependent.waiting_for == 0:
                self._make_ready(dependent, now)
        if rare.stand_in_for is not None and not rare.stand_in_for.final:
            self._copy_outcome(entry, rare.stand_in_for, now)
        if rare.followers:
            self._lead(entry, now)

    def _copy_outcome(self, source: Entry, target: Entry, now: float) -> None:
        target.output, target.error, target.failure = source.output, source.error, source.failure
        target.worker_name, target.micros = source.worker_name, source.micros
        target.attempts += source.attempts
        target.become(source.status)
        self._finish(target, now)

    def deliver_again(self, entry: Entry) -> None:
        """A client that lost the connection asks again for the outcome of an ended task."""
        if entry.status is COMPLETED and entry.output is None:
            error = OutputReleased(f"the output of task {entry.name!r} ({entry.task_id}) was let go before it was asked for again")
            entry.status, entry.error, entry.failure = FAILED, str(error), Failure.of(error)
        self._outbox.others.append(Deliver(entry.client, [entry]))

    # -- one outcome for many submissions ------------------------------------------------------

    def follow(self, entry: Entry, key: str, now: float) -> bool:
        """Attach a task to the one of the same idempotency key; False when it is the first, and so to be run."""
        leader = self._keys.get(key)
        if leader is None or leader.status in (FAILED, CANCELLED, SKIPPED) or (leader.final and leader.output is None):
            self._keys[key] = entry
            self._keys.move_to_end(key)
            self._forget_keys()
            return False
        if leader.final:
            self._copy_outcome(leader, entry, now)
        else:
            leader.own_rare().followers.append(entry)
        return True

    def _forget_keys(self) -> None:
        if len(self._keys) > HISTORY:
            key, oldest = self._keys.popitem(last=False)
            if not oldest.final:
                self._keys[key] = oldest

    def _lead(self, leader: Entry, now: float) -> None:
        followers = [entry for entry in leader.rare.followers if not entry.final]
        leader.rare.followers = []
        if leader.status is not CANCELLED:
            for entry in followers:
                self._copy_outcome(leader, entry, now)
        elif followers:
            # The others did not ask for the cancellation: the first of them takes the place.
            first, *rest = followers
            first.own_rare().followers = rest
            assert first.submission is not None and first.submission.idempotency_key is not None
            self._keys[first.submission.idempotency_key] = first
            if first.waiting_for == 0:
                self._make_ready(first, now)

    # -- circuits -------------------------------------------------------------------------------

    def _circuit(self, entry: Entry) -> Circuit:
        spec = entry.category.spec
        assert spec.breaker_key is not None and spec.breaker is not None
        found = self._circuits.get(spec.breaker_key)
        if found is None:
            found = self._circuits[spec.breaker_key] = Circuit(spec.breaker)
        return found

    def admit(self, entry: Entry, now: float) -> bool:
        """Whether the task's circuit lets it through; one that does not fails it."""
        circuit = self._circuit(entry)
        before = circuit.state
        if circuit.allow(now):
            if circuit.state is not before:
                self._circuit_tells(entry, (before, circuit.state), now)
            return True
        key = entry.category.breaker_key
        self.fail(entry, now, CircuitOpen(f"task {entry.name!r} was refused: circuit {key!r} is open after repeated failures"))
        return False

    def circuit_failed(self, entry: Entry, now: float) -> None:
        """An attempt failed: its circuit, if it has one, takes note."""
        if entry.category.breaker_key is not None:
            self._circuit_tells(entry, self._circuit(entry).failed(now), now)

    def circuit_abandoned(self, entry: Entry, now: float) -> None:
        """An attempt was cut short by no fault of its own: it proves nothing about the circuit."""
        if entry.category.breaker_key is not None:
            self._circuit_tells(entry, self._circuit(entry).abandoned(now), now)

    def _circuit_tells(self, entry: Entry, transition: Transition | None, now: float) -> None:
        if transition is not None:
            topic = f"circuit.{transition[1].value}"
            self.publish(Notice(topic, name=entry.category.breaker_key, data={"task": entry.name}), None, now)

    # -- events ---------------------------------------------------------------------------------

    def _tell_end(self, entry: Entry, now: float) -> None:
        topic = f"task.{entry.status.value}"
        if topic in self.wanted:
            data: dict[str, object] = {"attempts": entry.attempts, "duration": entry.micros / 1e6}
            if entry.error is not None:
                data["error"] = entry.error
            self.notice(topic, entry, data, now)

    def notice(self, topic: str, entry: Entry, data: dict[str, object] | None = None, now: float = 0.0) -> None:
        """Tell of a task. The caller has looked whether the topic is wanted."""
        self.publish(Notice(topic, entry.task_id, entry.name, entry.worker_name, data or {}), entry, now)

    def notice_worker(self, topic: str, name: str, data: dict[str, object], now: float) -> None:
        """Tell of a worker, if anybody listens."""
        if topic in self.wanted:
            self.publish(Notice(topic, worker=name, data=data), None, now)

    def publish(self, notice: Notice, cause: Entry | None, now: float) -> None:
        """Publish a notice and start what rules want started by it."""
        self._outbox.notices.append(notice)
        if not self.rules.heed(notice.topic):
            return
        depth = (cause.rare.depth if cause is not None else 0) + 1
        for rule in self.rules.matching(notice):
            try:
                held = self.rules.follow_on(rule, notice, depth)
            except ChainTooDeep as error:
                self._outbox.others.append(Warn(str(error)))
                continue
            self._submit_held(held, now)
