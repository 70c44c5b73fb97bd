"""The pure core of the manager: tasks, workers, attempts; events and ``now`` in, commands out.

No socket, thread or clock is here. Each method tells what happened; `Dispatcher.flush` matches tasks to workers and
returns what is to be done. What is told in one go before a flush is seen together, so that three tasks submitted at
once are matched as three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from callboard.actors.dispatch.agenda import Agenda
from callboard.actors.dispatch.attendance import Attendance
from callboard.actors.dispatch.backlog import Backlog
from callboard.actors.dispatch.command import Command, Forget, Halt, Outbox
from callboard.actors.dispatch.ending import Endings
from callboard.actors.dispatch.entry import Entry
from callboard.actors.dispatch.intake import Intake
from callboard.actors.dispatch.isolation import Isolation
from callboard.actors.dispatch.ledger import Ledger
from callboard.actors.dispatch.matcher import Matcher
from callboard.actors.dispatch.record import WorkerInfo, WorkerRecord
from callboard.actors.dispatch.roster import Roster
from callboard.actors.dispatch.setback import Setbacks
from callboard.actors.dispatch.shortage import Shortage
from callboard.messages.codec import Packed
from callboard.messages.errors import CallboardError, DependencyCycle, DuplicateTask, UnknownTask, UnknownValue
from callboard.messages.task import Submission
from callboard.messages.wire import Ending, Report

REBALANCE_AFTER = 0.003


class Dispatcher:
    """Decides everything about tasks and workers. One thread at a time.

    ``random`` gives numbers in [0, 1) for the jitter of retries after timeouts. Assignments of a task are numbered from
    ``fences`` on: each manager should have a multiple of `matcher.MAX_FENCES` of its own, so that what a worker still has
    of an earlier manager's is never taken for what this one gave out.
    """

    def __init__(
        self,
        *,
        max_worker_deaths: int = 3,
        max_chain: int = 1000,
        random: Callable[[], float] = lambda: 0.5,
        ledger: Ledger | None = None,
        fences: int = 0,
    ) -> None:
        self.ledger = ledger or Ledger()
        self.roster = Roster()
        self.agenda = Agenda()
        self.outbox = Outbox()
        self.stale = 0  # answers for attempts that were not, or no longer, the sender's
        self._shortage = Shortage(self.roster, self.agenda, self.outbox)
        self._setbacks = Setbacks(self.ledger, self.agenda, self.outbox, max_worker_deaths, random)
        self._matcher = Matcher(self.roster, self.outbox, self.agenda, self._admit, self._setbacks.overdue, fences)
        self._isolation = Isolation(self.roster, self._admit, self._matcher.assign)
        self._backlog = Backlog(self.agenda, self._isolation, self._shortage.expire)
        self.endings = Endings(self.ledger, self.outbox, self._backlog.add, self._backlog.discard, max_chain)
        self._shortage.attach(self._backlog, self.endings)
        self._setbacks.attach(self._backlog, self.endings)
        self._attendance = Attendance(
            self.ledger, self.roster, self.outbox, self._backlog, self._matcher, self.endings, self._setbacks, self._shortage
        )
        self._strays = self._attendance.strays
        self._intake = Intake(self.ledger, self.roster, self.endings, self._backlog, self._setbacks, self._shortage, self._attendance)
        self._rebalance_due = False

    def _admit(self, entry: Entry, now: float) -> bool:
        return self.endings.admit(entry, now)

    # -- tasks come in ----------------------------------------------------------------------

    def submit(
        self, client: str, submissions: Sequence[Submission], now: float, wall: float = 0.0, again: bool = False, fresh: bool = False
    ) -> list[tuple[Submission, CallboardError]]:
        """Take in tasks; returns those that were refused, with the reason. ``again``: known ones are no duplicates. ``fresh``: their
        ids were made for them, so that none of them has ended already."""
        refused: list[tuple[Submission, CallboardError]] = []
        entries, archive = self.ledger.entries, self.ledger.archive
        self._intake.stamp = int(wall)
        for submission in submissions:
            task_id = submission.task_id
            if task_id not in entries and (fresh or task_id not in archive):
                try:
                    self._intake.take_in(submission, client, now)
                except (DependencyCycle, UnknownValue) as error:
                    refused.append((submission, error))
            elif not again:
                refused.append((submission, DuplicateTask(task_id)))
            else:
                known = self.entry(task_id)
                known.client = client
                if known.final:
                    self.endings.deliver_again(known)
        return refused

    # -- workers come and go ----------------------------------------------------------------

    def join(
        self, info: WorkerInfo, now: float, wall: float = 0.0, running: Sequence[tuple[str, int]] = (), same_epoch: bool = True
    ) -> list[str]:
        """A worker says hello, perhaps again, with the attempts (id, fence) that it has queued, runs, or has reported
        without being sure that it was heard; returns the ids of those that it should drop.

        What it still has of what is waiting here counts, and is not assigned to anybody else.
        """
        return self._attendance.join(info, now, wall, running, same_epoch)

    def leaving(self, worker_id: str, now: float) -> None:
        """The worker takes no new work; what it has begun it finishes."""
        self._attendance.leaving(worker_id, now)

    def lost(self, worker_id: str, now: float, reason: str, running: Sequence[str] | None = None, ordered: bool = False) -> None:
        """The worker is gone. ``running`` are the tasks that it had begun, where that is known for certain. ``ordered``: it
        was made to end, for the sake of what did not stop; nothing else is to blame."""
        self._attendance.lost(worker_id, now, reason, running, ordered)

    def hand_back(self, worker_id: str, ids: Sequence[str], fences: Sequence[int], now: float) -> None:
        """The worker has not begun these and will not."""
        worker = self.roster.workers.get(worker_id)
        if worker is None:
            return
        worker.recalling = False
        for task_id, fence in zip(ids, fences, strict=True):
            entry = worker.inflight.get(task_id)
            if entry is not None and entry.fence == fence:
                del worker.inflight[task_id]
                worker.foreign.pop(task_id, None)
                self._setbacks.again(entry, now)
            elif worker.foreign.get(task_id) == fence:
                del worker.foreign[task_id]
                self._strays.gone(task_id, worker_id)
        self._attendance.settle(worker, now)

    def park(self, worker_id: str, task_id: str, parked: bool, now: float, fence: int | None = None) -> None:
        """A running task waits for other tasks and lends its slot, or goes on. ``fence`` tells which attempt of it, where
        the worker may have two; without it the last one is meant."""
        worker = self.roster.workers.get(worker_id)
        if worker is None:
            return
        entry = worker.inflight.get(task_id)
        own = entry is not None and fence in (None, entry.fence)
        if not own and (task_id not in worker.foreign or fence not in (None, worker.foreign[task_id])):
            return
        if parked:
            worker.park(task_id, foreign=not own)
        else:
            worker.unpark(task_id, foreign=not own)
        self._attendance.settle(worker, now)

    # -- answers ----------------------------------------------------------------------------

    def report(self, worker_id: str, report: Report, payloads: Sequence[Packed], now: float) -> bool:
        """Attempts ended; the columns of the report are of one length. False when the worker is not known (any more), so that it
        should join again."""
        worker = self.roster.workers.get(worker_id)
        if worker is None:
            self.stale += len(report.ids)
            return False
        inflight = worker.inflight
        name = worker.name
        endings = self.endings
        category, total, count = None, 0, 0
        fences, all_endings, all_micros = report.fences, report.endings, report.micros
        for row, task_id in enumerate(report.ids):
            entry = inflight.get(task_id)
            if entry is None or entry.fence != fences[row]:
                self._foreign_result(worker, report, row, payloads[row])
                continue
            del inflight[task_id]
            if worker.peculiar:
                worker.foreign.pop(task_id, None)  # of an earlier attempt of the same task a worker says nothing more
            entry.worker = None
            entry.worker_name = name
            entry.attempts += 1
            entry.micros = micros = all_micros[row]
            ending = all_endings[row]
            if entry.category is not category:
                if category is not None and count:
                    category.observe(total / count)
                category, total, count = entry.category, 0, 0
            if ending == 0 and not entry.rare.cancelling:
                total += micros
                count += 1
                entry.output = payloads[row]
                endings.complete(entry, now)
            else:
                if ending == Ending.FAILED:
                    total += micros
                    count += 1
                self._setbacks.failed(entry, report, row, payloads[row], now)
        if category is not None and count:
            category.observe(total / count)
        if worker.peculiar:
            worker.stuck = False
        self._attendance.settle(worker, now)
        return True

    def _foreign_result(self, worker: WorkerRecord, report: Report, row: int, packed: Packed) -> None:
        task_id = report.ids[row]
        if worker.foreign.get(task_id) == report.fences[row]:
            del worker.foreign[task_id]
            if self._strays.gone(task_id, worker.info.worker_id):
                self._strays.ended(worker.info.name, report, row, packed)
                return
        self.stale += 1

    # -- cancelling -------------------------------------------------------------------------

    def cancel(self, ids: Sequence[str], force: bool, now: float) -> list[str]:
        """Cancel tasks; returns the ids of those that had not ended. Running ones end when their worker has stopped them."""
        accepted: list[str] = []
        halted: dict[str, list[str]] = {}
        for task_id in ids:
            entry = self.ledger.entries.get(task_id)
            if entry is None or entry.final:
                continue
            accepted.append(task_id)
            stand_in = entry.rare.stand_in
            if entry.worker is None:
                self._backlog.discard(entry)
                self.endings.cancel(entry, now)
                if stand_in is not None and not stand_in.final:
                    self.cancel([stand_in.task_id], force, now)
                continue
            entry.own_rare().cancelling = True
            halted.setdefault(entry.worker.info.worker_id, []).append(task_id)
            if force:
                self._setbacks.insist(entry, now)
        self.outbox.others += [Halt(worker_id, tasks, force) for worker_id, tasks in halted.items()]
        return accepted

    # -- the end ----------------------------------------------------------------------------

    @property
    def closing(self) -> bool:
        """Whether `close` was called."""
        return self._shortage.closing

    def close(self, now: float) -> None:
        """No task comes from outside any more: what nobody could ever do, or what waits for nobody, fails now."""
        self._shortage.closing = True
        self._intake.fail_unknown(now)
        self.check_short(now)

    def check_short(self, now: float) -> None:
        """Look again who could take what is ready; to be called when a local worker was given up."""
        self._shortage.check_all(now)

    @property
    def drained(self) -> bool:
        """Whether every task has ended, and with it what it started."""
        return self.ledger.open == 0 and not self.endings.held

    @property
    def taken(self) -> int:
        """How many tasks have come so far."""
        return self._intake.taken

    # -- stepping ---------------------------------------------------------------------------

    @property
    def stirred(self) -> bool:
        """Whether another `flush` would find more to be done, whatever the time: it was told something since the last."""
        return bool(self._backlog.moved or self.endings.held or self.outbox)

    def flush(self, now: float) -> list[Command]:
        """Match what is ready to who is there, and return all that is to be done.

        To be called after every event or batch of events, and again when `agenda.next` is due. The commands are to be
        carried out before anything else is told: what ended in the step before may have let go of its output by then.
        """
        self.agenda.run(now)
        if self.endings.held:
            self._intake.take_in_held(now)
        while self._backlog.moved:
            self.roster.regroup()
            for requirement in self._backlog.take_short():
                self._shortage.check(requirement, now)
            self._match(now)
        if "task.assigned" in self.endings.wanted:
            self._tell_assigned(now)
        if self.endings.held:
            self.agenda.at(now, _nothing, None)  # the rest in the next step
        self.ledger.tidy()
        gone = self.ledger.values.take_gone()
        if gone:
            self.outbox.others.append(Forget(gone))
        return self.outbox.take()

    def _match(self, now: float) -> None:
        touched = self._backlog.take_touched()
        if self._isolation.requirements:
            self._isolation.step(now)
        self._matcher.step(now)
        if self.roster.pools.offers.first() is not None:
            self._matcher.ahead(touched, now)
        if self.roster.loaded and not self._rebalance_due and (self.roster.idle_profiles or any(each.uneven for each in touched)):
            self._rebalance_due = True
            self.agenda.at(now + REBALANCE_AFTER, self._rebalance, None)

    def _rebalance(self, _: None, now: float) -> None:
        self._rebalance_due = False
        self._matcher.rebalance()

    def _tell_assigned(self, now: float) -> None:
        for worker_id, entries in self.outbox.assigned.items():
            name = self.roster.workers[worker_id].info.name
            for entry in entries:
                entry.worker_name = name
                self.endings.notice("task.assigned", entry, {"attempt": entry.attempts + 1}, now)

    def entry(self, task_id: str) -> Entry:
        """The record of a task; `UnknownTask` when there is none (any more)."""
        found = self.ledger.find(task_id)
        if found is None:
            raise UnknownTask(task_id)
        return found


def _nothing(subject: object, now: float) -> None:
    """Only to be called again."""
