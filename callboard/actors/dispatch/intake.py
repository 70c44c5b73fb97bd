"""How submissions become tasks: what they wait for, whose outcome they share, and what already runs of them."""

from __future__ import annotations

from callboard.actors.dispatch.attendance import Attendance
from callboard.actors.dispatch.backlog import Backlog
from callboard.actors.dispatch.category import Categories
from callboard.actors.dispatch.ending import Endings
from callboard.actors.dispatch.entry import NOTHING_RARE, Entry, Rare
from callboard.actors.dispatch.ledger import Ledger
from callboard.actors.dispatch.roster import Roster
from callboard.actors.dispatch.setback import Setbacks
from callboard.actors.dispatch.shortage import Shortage
from callboard.messages.errors import CallboardError, DependencyCycle, OutputReleased, UnknownDependency, UnknownValue
from callboard.messages.status import TaskStatus
from callboard.messages.task import Submission, fresh_id
from callboard.messages.wire import Ending

COMPLETED, RUNNING = TaskStatus.COMPLETED, TaskStatus.RUNNING

MAX_HELD = 1000
"""How many submissions of the dispatcher's own one step takes in, so that listeners that start each other do not stop it."""


class Intake:
    """Takes in what clients submit and what the dispatcher submits itself. ``stamp`` is the wall clock, whole seconds."""

    def __init__(
        self,
        ledger: Ledger,
        roster: Roster,
        endings: Endings,
        backlog: Backlog,
        setbacks: Setbacks,
        shortage: Shortage,
        attendance: Attendance,
    ) -> None:
        self._ledger = ledger
        self._roster = roster
        self._endings = endings
        self._backlog = backlog
        self._setbacks = setbacks
        self._shortage = shortage
        self._attendance = attendance
        self._strays = attendance.strays
        self._categories = Categories(roster, ledger)
        self.taken = 0
        """How many tasks have come."""
        self.stamp = 0

    def take_in(self, submission: Submission, client: str, now: float, rare: Rare = NOTHING_RARE) -> None:
        """Make a task of a submission whose id is not taken. Raises `DependencyCycle` or `UnknownValue`, and has then done nothing."""
        self.taken += 1
        entry = Entry(submission, client, self._categories.of(submission.spec), self.taken, self.stamp, rare)
        key = submission.idempotency_key
        if key is not None:
            leader = self._endings.twins.leader(key)
            if leader is not None:
                entry.own_rare().leader = leader
        if rare.stand_in_for is not None:
            rare.stand_in_for.own_rare().stand_in = entry
        broken = self._ledger.add(entry)
        if "task.submitted" in self._endings.wanted:
            self._endings.notice("task.submitted", entry, None, now)
        if broken is not None:
            self._break(entry, broken, now)
            return
        if key is not None and self._endings.follow(entry, key, now):
            return
        if (self._strays.running or self._strays.orphans) and self._claim(entry, now):
            return
        if entry.waiting_for == 0:
            self._backlog.add(entry, now)
        elif submission.dependencies_sent or self._shortage.closing:
            missing = self._ledger.unknown_ids(entry)
            if missing and submission.dependencies_sent:
                self._fail_forgotten(entry, missing, now)
            elif missing:
                self._fail_unknown(entry, now)

    def _break(self, entry: Entry, broken: Entry, now: float) -> None:
        if broken.status is COMPLETED:
            text = f"task {entry.name!r} depends on {broken.name!r} ({broken.task_id}), whose output was let go"
            self._endings.fail(entry, now, OutputReleased(text))
        else:
            self._endings.skip(entry, broken, now)

    def _claim(self, entry: Entry, now: float) -> bool:
        """Whether the task was run, or is being run, for an earlier manager."""
        runner = self._strays.runner(entry.task_id)
        orphan = self._strays.result(entry.task_id)
        if orphan is not None:
            entry.attempts, entry.micros, entry.worker_name = 1, orphan.report.micros[0], orphan.worker_name
            entry.status = RUNNING
            if orphan.report.endings[0] == Ending.COMPLETED:
                entry.output = orphan.output
                self._endings.complete(entry, now)
            else:
                self._setbacks.failed(entry, orphan.report, 0, orphan.output, now)
            return True
        if runner is None:
            return False
        worker = self._roster.workers[runner[0]]
        self._attendance.resume(entry, worker, runner[1], now)
        self._attendance.settle(worker, now)
        return True

    # -- the dispatcher's own ---------------------------------------------------------------

    def take_in_held(self, now: float) -> None:
        """Take in fallbacks and follow-on tasks."""
        held = self._endings.held
        for _ in range(min(len(held), MAX_HELD)):
            submission, client, rare = held.popleft()
            if submission.task_id in self._ledger:
                submission = _renamed(submission)
            if rare.refusal is not None:
                self._refuse(submission, client, rare, rare.refusal, now)
            elif rare.stand_in_for is None:
                self._take_in_follow_on(submission, client, rare, now)
            elif not rare.stand_in_for.final:
                self._take_in_fallback(submission, client, rare, rare.stand_in_for, now)

    def _take_in_follow_on(self, submission: Submission, client: str, rare: Rare, now: float) -> None:
        try:
            self.take_in(submission, client, now, rare)
        except UnknownValue:
            self._endings.rules.ended(rare)  # the rule was dropped in this very step, and its values with it

    def _refuse(self, submission: Submission, client: str, rare: Rare, refusal: CallboardError, now: float) -> None:
        # Its place among the ready does not matter, since it is never one of them.
        entry = Entry(submission, client, self._categories.of(submission.spec), 0, self.stamp, rare)
        self._ledger.add(entry)
        if "task.submitted" in self._endings.wanted:
            self._endings.notice("task.submitted", entry, None, now)
        self._endings.refuse(entry, refusal, now)
        self._endings.warn(str(refusal))

    def _take_in_fallback(self, submission: Submission, client: str, rare: Rare, replaced: Entry, now: float) -> None:
        try:
            self.take_in(submission, client, now, rare)
        except DependencyCycle as error:
            replaced.rare.stand_in = None
            self._endings.refuse(replaced, error, now)

    # -- what nobody will submit ----------------------------------------------------------------

    def fail_unknown(self, now: float) -> None:
        """What waits for an id that nobody submitted fails."""
        awaited = self._ledger.awaited
        for task_id in list(awaited):
            for entry in list(awaited.get(task_id, ())):
                if not entry.final and not entry.rare.replaced and entry.worker is None:
                    self._fail_unknown(entry, now)

    def _fail_unknown(self, entry: Entry, now: float) -> None:
        missing = self._ledger.unknown_ids(entry)
        text = f"task {entry.name!r} waits for {', '.join(map(repr, missing))}, which nobody submitted"
        self._endings.fail(entry, now, UnknownDependency(text, missing))

    def _fail_forgotten(self, entry: Entry, missing: list[str], now: float) -> None:
        ids = ", ".join(map(repr, missing))
        text = f"task {entry.name!r} depends on {ids}, which ended too long ago to be remembered: pass the output itself"
        self._endings.fail(entry, now, OutputReleased(text))


def _renamed(submission: Submission) -> Submission:
    """The same submission under an id that is not taken."""
    return Submission(
        fresh_id(),
        submission.name,
        submission.spec,
        submission.payload,
        submission.dependencies,
        submission.code,
        submission.idempotency_key,
        submission.fallback,
        shares=submission.shares,
    )
