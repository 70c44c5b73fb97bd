"""How tasks end, and all that follows: deliveries, dependents, twins, fallbacks, events."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from callboard.actors.dispatch.command import Deliver, Notice, Outbox, Retold, Warn
from callboard.actors.dispatch.entry import NOTHING_RARE, Entry, Held, Rare
from callboard.actors.dispatch.fuse import Fuses
from callboard.actors.dispatch.ledger import Ledger
from callboard.actors.dispatch.rule import RuleBook
from callboard.actors.dispatch.twin import Twins
from callboard.messages.codec import pack
from callboard.messages.errors import CallboardError, CircuitOpen, OutputReleased
from callboard.messages.failure import Failure
from callboard.messages.status import FINAL, TaskStatus
from callboard.messages.task import Submission

PENDING, RUNNING, COMPLETED = TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.COMPLETED
FAILED, CANCELLED, SKIPPED = TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.SKIPPED


class Endings:
    """Carries out the ending of tasks on the ledger; what is to be told goes to the outbox.

    ``make_ready`` and ``discard`` put a task among the ready and take it from there.
    """

    def __init__(
        self,
        ledger: Ledger,
        outbox: Outbox,
        make_ready: Callable[[Entry, float], None],
        discard: Callable[[Entry], None],
        max_chain: int,
    ) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._make_ready = make_ready
        self._discard = discard
        self._ended: deque[tuple[Entry, float]] = deque()
        self._working = False
        self.fuses = Fuses(lambda notice, now: self.publish(notice, None, now))
        self.twins = Twins(ledger.history)
        self.held: deque[Held] = deque()
        """Submissions of the dispatcher's own that are still to be taken in."""
        self.rules = RuleBook(max_chain, ledger.values)
        self.wanted: set[str] = set()
        """Topics of tasks and workers that somebody listens to; for others nothing is built."""

    # -- endings ----------------------------------------------------------------------------

    def complete(self, entry: Entry, now: float) -> None:
        """The task completed; its output stands in the entry."""
        if entry.category.breaker_key is not None and entry.status is RUNNING:
            self.fuses.succeeded(entry, now)
        entry.status = COMPLETED  # not checked: each caller has just taken the entry from those that run
        if entry.error is not None:
            entry.note_error(None)  # for an earlier attempt
        self._finish(entry, now)

    def fail(self, entry: Entry, now: float, error: CallboardError | None = None) -> None:
        """The task failed for good, by ``error`` or by what stands in the entry; a fallback may stand in."""
        if error is not None:
            entry.note_error(str(error), Failure.of(error))
            entry.output = None
        if entry.category.breaker_key is not None and entry.status is RUNNING:
            self.fuses.failed(entry, now)
        fallback = entry.submission.fallback if entry.submission is not None else None
        if fallback is None:
            entry.become(FAILED)
            self._finish(entry, now)
        elif isinstance(fallback, Submission):
            self._stand_in(entry, fallback)
        else:
            entry.output = pack(fallback)
            entry.become(COMPLETED)
            self._finish(entry, now)

    def _stand_in(self, entry: Entry, fallback: Submission) -> None:
        self._discard(entry)
        if entry.status is not PENDING:
            entry.become(PENDING)
        entry.worker = None
        entry.own_rare().replaced = True
        rare = Rare()
        rare.stand_in_for = entry
        rare.chain, rare.event, rare.rich = entry.rare.chain, entry.rare.event, entry.rare.rich
        self.held.append(Held(fallback, entry.client, rare))

    def refuse(self, entry: Entry, error: CallboardError, now: float) -> None:
        """The task fails, and no fallback stands in."""
        entry.note_error(str(error), Failure.of(error))
        entry.output = None
        entry.become(FAILED)
        self._finish(entry, now)

    def admit(self, entry: Entry, now: float) -> bool:
        """Whether the task's circuit lets it through; one that does not fails it."""
        if self.fuses.admit(entry, now):
            return True
        key = entry.category.breaker_key
        self.fail(entry, now, CircuitOpen(f"task {entry.name!r} was refused: circuit {key!r} is open after repeated failures"))
        return False

    def cancel(self, entry: Entry, now: float, why: str | None = None) -> None:
        """The task ends cancelled."""
        if entry.category.breaker_key is not None and entry.status is RUNNING:
            self.fuses.abandoned(entry, now)
        entry.note_error(why or "cancelled")
        entry.output = None
        entry.become(CANCELLED)
        self._finish(entry, now)

    def skip(self, entry: Entry, because: Entry, now: float) -> None:
        """The task never runs, since a dependency did not complete."""
        entry.note_error(f"dependency {because.name!r} ({because.task_id}) {because.status.value}")
        entry.become(SKIPPED)
        self._finish(entry, now)

    def _finish(self, entry: Entry, now: float) -> None:
        if self._working:
            # Through a row, not by recursion: a failed head of a chain of ten thousand skips them all.
            self._ended.append((entry, now))
            return
        self._working = True
        try:
            self._conclude(entry, now)
            while self._ended:
                self._conclude(*self._ended.popleft())
        finally:
            self._working = False

    def _conclude(self, entry: Entry, now: float) -> None:
        entry.worker = None
        if entry.timer is not None or entry.category.expires_in is not None:
            self._discard(entry)
        rare = entry.rare
        if rare is NOTHING_RARE or (rare.event is None and rare.stand_in_for is None):
            # What the dispatcher submitted itself nobody has a handle of.
            delivered = self._outbox.delivered
            if entry.client in delivered:
                delivered[entry.client].append(entry)
            else:
                delivered[entry.client] = [entry]
        if self.wanted:
            self._tell_end(entry, now)
        dependents = self._ledger.end(entry)
        if dependents:
            self._release(dependents, entry, now)
        if rare is not NOTHING_RARE:
            rare.rich = None
            if rare.stand_in_for is None:
                self.rules.ended(rare)
            if rare.stand_in_for is not None and not rare.stand_in_for.final:
                self._copy_outcome(entry, rare.stand_in_for, now)
            if rare.followers:
                self._part(entry, now)

    def _release(self, dependents: Sequence[Entry], entry: Entry, now: float) -> None:
        completed = entry.status is COMPLETED
        for dependent in dependents:
            if dependent.status in FINAL:
                continue
            if completed:
                dependent.waiting_for -= 1
                if dependent.waiting_for == 0 and dependent.status is PENDING and not dependent.rare.replaced:
                    self._make_ready(dependent, now)
            elif dependent.status is PENDING and not dependent.rare.replaced:
                # One that runs all the same (an earlier manager saw its dependencies complete) goes on.
                self.skip(dependent, entry, now)

    def _copy_outcome(self, source: Entry, target: Entry, now: float) -> None:
        target.output = source.output
        target.note_error(source.error, source.failure)
        target.worker_name, target.micros = source.worker_name, source.micros
        target.attempts += source.attempts
        target.become(source.status)
        self._finish(target, now)

    def deliver_again(self, entry: Entry) -> None:
        """A client that lost the connection asks again for the outcome of an ended task."""
        status, error, failure = entry.status, entry.error, entry.failure
        if status is COMPLETED and entry.output is None:
            released = OutputReleased(f"the output of task {entry.name!r} ({entry.task_id}) was let go before it was asked for again")
            status, error, failure = FAILED, str(released), Failure.of(released)
        told = Retold(entry.task_id, entry.name, status, entry.output, error, failure, entry.worker_name, entry.attempts, entry.micros)
        self._outbox.others.append(Deliver(entry.client, [told]))

    # -- one outcome for many submissions ------------------------------------------------------

    def follow(self, entry: Entry, key: str, now: float) -> bool:
        """Give a task the outcome of its leader (see `Rare`), now or later; without one it leads, and False says so."""
        leader = entry.rare.leader
        if leader is None:
            self.twins.lead(key, entry)
            return False
        if leader.final:
            self._copy_outcome(leader, entry, now)
        else:
            leader.own_rare().followers.append(entry)
            entry.waiting_for += 1
        return True

    def _part(self, leader: Entry, now: float) -> None:
        followers = [entry for entry in leader.rare.followers if not entry.final]
        leader.rare.followers = []
        if leader.status is not CANCELLED:
            for entry in followers:
                self._copy_outcome(leader, entry, now)
        elif followers:
            self._succeed(followers, now)

    def _succeed(self, followers: list[Entry], now: float) -> None:
        # The others did not ask for the cancellation: the first of them takes the place.
        first, *rest = followers
        assert first.submission is not None and first.submission.idempotency_key is not None
        self.twins.lead(first.submission.idempotency_key, first)
        self._go_alone(first, now)
        for entry in rest:
            # The new leader may depend on one of the others, which must then not wait for it.
            if self._ledger.levels.link(first, entry) is None:
                entry.rare.leader = first
                first.own_rare().followers.append(entry)
            else:
                self._go_alone(entry, now)

    def _go_alone(self, entry: Entry, now: float) -> None:
        entry.rare.leader = None
        entry.waiting_for -= 1
        if entry.waiting_for == 0:
            self._make_ready(entry, now)

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
        """Publish a notice and have started what rules want started by it."""
        self._outbox.notices.append(notice)
        if self.rules.heed(notice.topic):
            # Taken in at the end of the step, so that tasks that start each other do not nest.
            self.held += self.rules.fire(notice, cause.rare if cause is not None else NOTHING_RARE)

    def warn(self, text: str) -> None:
        """Have a line written to the log."""
        self._outbox.others.append(Warn(text))
