"""The pure core of the manager: tasks, workers, attempts; events and ``now`` in, commands out.

No socket, thread or clock is here. Each method tells what happened; `Dispatcher.flush` matches tasks to workers and
returns what is to be done. What is told in one go before a flush is seen together, so that three tasks submitted at
once are matched as three.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from callboard.actors.dispatch.agenda import Agenda
from callboard.actors.dispatch.command import Command, Halt, Kill, Outbox, Warn
from callboard.actors.dispatch.ending import Endings
from callboard.actors.dispatch.entry import Category, Entry, Held, Rare
from callboard.actors.dispatch.ledger import Ledger
from callboard.actors.dispatch.matcher import Matcher
from callboard.actors.dispatch.requirement import Profile, Requirement, describe_skills
from callboard.actors.dispatch.roster import Roster, WorkerInfo, WorkerRecord
from callboard.messages.codec import Packed
from callboard.messages.errors import (
    CallboardError,
    DependencyCycle,
    DuplicateTask,
    NoCapableWorker,
    OutputReleased,
    TaskTimedOut,
    UnknownDependency,
    UnknownTask,
    WorkerDied,
)
from callboard.messages.failure import Failure
from callboard.messages.status import TaskStatus
from callboard.messages.task import Submission, TaskSpec
from callboard.messages.wire import Ending, Report

PENDING, RUNNING, COMPLETED = TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.COMPLETED
FAILED, CANCELLED, SKIPPED = TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.SKIPPED

WARN_AFTER = 5.0
REBALANCE_AFTER = 0.003
STOP_GRACE = 2.0
"""Seconds that a worker has to stop an attempt that overran or is stopped by force, before its process is ended."""
MAX_STRAYS = 100_000
MAX_CATEGORIES = 20_000


class Dispatcher:
    """Decides everything about tasks and workers. One thread at a time."""

    def __init__(
        self,
        *,
        max_worker_deaths: int = 3,
        max_chain: int = 1000,
        random: Callable[[], float] = lambda: 0.5,
        ledger: Ledger | None = None,
    ) -> None:
        self.ledger = ledger or Ledger()
        self.roster = Roster()
        self.agenda = Agenda()
        self.outbox = Outbox()
        self.endings = Endings(self.ledger, self.outbox, self.agenda, self._submit_held, self._make_ready, max_chain)
        self.stale = 0  # answers for attempts that were not, or no longer, the sender's
        self.closing = False
        self._max_worker_deaths = max_worker_deaths
        self._random = random
        self._matcher = Matcher(self.roster, self.outbox, self.endings.admit)
        self._categories: dict[TaskSpec, Category] = {}
        self._category_of: dict[int, Category] = {}  # by id() of a spec, which its category keeps alive
        self._sequence = 0
        self._numbered = 0
        self._stamp = 0  # wall clock of the last submission, whole seconds
        self._fresh: dict[Requirement, list[Entry]] = {}
        self._touched: dict[Profile, None] = {}
        self._rebalance_due = False
        self._strays: OrderedDict[str, tuple[str, int]] = OrderedDict()  # run by workers, not submitted yet
        self._orphans: OrderedDict[str, tuple[WorkerInfo, Report, int, Packed]] = OrderedDict()

    # -- tasks come in ----------------------------------------------------------------------

    def submit(
        self, client: str, submissions: Sequence[Submission], now: float, wall: float = 0.0, again: bool = False
    ) -> list[tuple[Submission, CallboardError]]:
        """Take in tasks; returns those that were refused, with the reason. ``again``: known ones are no duplicates."""
        refused: list[tuple[Submission, CallboardError]] = []
        entries = self.ledger.entries
        stamp = self._stamp = int(wall)
        for submission in submissions:
            known = entries.get(submission.task_id)
            if known is not None:
                if again:
                    known.client = client
                    if known.final:
                        self.endings.deliver_again(known)
                else:
                    refused.append((submission, DuplicateTask(submission.task_id)))
                continue
            if submission.dependencies:
                circle = self.ledger.cycle(submission.task_id, submission.dependencies)
                if circle is not None:
                    refused.append((submission, DependencyCycle(circle)))
                    continue
            self._take_in(submission, client, now, stamp)
        return refused

    def _take_in(self, submission: Submission, client: str, now: float, stamp: int, rare: Rare | None = None) -> None:
        self._sequence += 1
        category = self._category(submission.spec)
        entry = Entry(submission, client, category, self._sequence, stamp)
        if rare is not None:
            entry.rare = rare
        broken = self.ledger.add(entry)
        endings = self.endings
        if "task.submitted" in endings.wanted:
            endings.notice("task.submitted", entry, None, now)
        if broken is not None:
            self._break(entry, broken, now)
        elif submission.idempotency_key is not None and endings.follow(entry, submission.idempotency_key, now):
            pass
        elif self._orphans and submission.task_id in self._orphans:
            self._adopt_result(entry, now)
        elif self._strays and submission.task_id in self._strays:
            self._adopt(entry, *self._strays.pop(submission.task_id), now)
        elif entry.waiting_for == 0:
            self._make_ready(entry, now)
        elif self.closing and self.ledger.unknown_ids(entry):
            self._fail_unknown(entry, now)

    def _break(self, entry: Entry, broken: Entry, now: float) -> None:
        if broken.status is COMPLETED:
            text = f"task {entry.name!r} depends on {broken.name!r} ({broken.task_id}), whose output was let go"
            self.endings.fail(entry, now, OutputReleased(text))
        else:
            self.endings.skip(entry, broken, now)

    def _category(self, spec: TaskSpec) -> Category:
        category = self._category_of.get(id(spec))
        if category is None:
            category = self._categories.get(spec)
            if category is None:
                if len(self._categories) >= MAX_CATEGORIES:
                    self._categories.clear()
                    self._category_of.clear()
                requirement = self.roster.requirement(spec.role, spec.skills)
                self._numbered += 1
                category = self._categories[spec] = Category(self._numbered, spec, requirement)
                self._category_of[id(category.spec)] = category
            if category.spec is not spec:
                return category  # an equal spec, whose id() nobody keeps alive
        return category

    def _make_ready(self, entry: Entry, now: float) -> None:
        requirement = entry.category.requirement
        if requirement in self._fresh:
            self._fresh[requirement].append(entry)
        else:
            self._fresh[requirement] = [entry]
        spec = entry.category.spec
        if spec.expires_in is not None:
            requirement.waiting[entry.task_id] = entry
            self.agenda.at(now + spec.expires_in, self._expire, entry)

    def _submit_held(self, held: Held, now: float) -> None:
        self._take_in(held.submission, held.client, now, self._stamp, held.rare)

    # -- workers come and go ----------------------------------------------------------------

    def join(
        self, info: WorkerInfo, now: float, wall: float = 0.0, running: Sequence[tuple[str, int]] = (), same_epoch: bool = True
    ) -> list[str]:
        """A worker says hello, perhaps again; returns the ids of what it runs and should drop."""
        worker = self.roster.workers.get(info.worker_id)
        if worker is not None:
            return self._reconcile(worker, dict(running), now)
        worker = self.roster.join(info, now, wall)
        self._touched[worker.profile] = None
        for requirement in self.roster.requirements.values():
            if requirement.short_since is not None and requirement.capable():
                requirement.short_since = None
                requirement.warned = False
        self.endings.notice_worker("worker.joined", info.name, {"role": info.role, "pid": info.pid, "host": info.host}, now)
        drop: list[str] = []
        for task_id, fence in running:
            entry = self.ledger.entries.get(task_id)
            if same_epoch or (entry is not None and (entry.fence or entry.final or entry.waiting_for)):
                drop.append(task_id)
            elif entry is not None:
                self._unready(entry)
                self._adopt(entry, info.worker_id, fence, now)
            else:
                self._strays[task_id] = info.worker_id, fence
                while len(self._strays) > MAX_STRAYS:
                    self._strays.popitem(last=False)
        return drop

    def _reconcile(self, worker: WorkerRecord, running: dict[str, int], now: float) -> list[str]:
        # After a reconnect: what the worker never got is assigned anew, what is no longer its own it should drop.
        for entry in list(worker.inflight.values()):
            if running.get(entry.task_id) != entry.fence:
                del worker.inflight[entry.task_id]
                self._again(entry, now)
        worker.recalling = False
        self._settle(worker, now)
        return [task_id for task_id in running if task_id not in worker.inflight]

    def _adopt(self, entry: Entry, worker_id: str, fence: int, now: float) -> None:
        worker = self.roster.workers.get(worker_id)
        if worker is None:
            self._make_ready(entry, now)
            return
        entry.fence = fence
        entry.status = RUNNING
        entry.worker = worker
        worker.inflight[entry.task_id] = entry

    def _adopt_result(self, entry: Entry, now: float) -> None:
        info, report, row, packed = self._orphans.pop(entry.task_id)
        entry.attempts, entry.micros, entry.worker_name = 1, report.micros[row], info.name
        if report.endings[row] == Ending.COMPLETED:
            entry.output = packed
            self.endings.complete(entry, now)
        else:
            self._failed(entry, report, row, packed, now)

    def leaving(self, worker_id: str, now: float) -> None:
        """The worker takes no new work; what it has begun it finishes."""
        worker = self.roster.workers.get(worker_id)
        if worker is not None and not worker.leaving:
            self.roster.leave(worker, now)
            self.endings.notice_worker("worker.left", worker.info.name, {}, now)
            self._shortage(worker.profile, now)

    def lost(self, worker_id: str, now: float, reason: str, running: Sequence[str] | None = None) -> None:
        """The worker is gone. ``running`` are the tasks that it had begun, where that is known for certain."""
        worker = self.roster.workers.get(worker_id)
        if worker is None:
            return
        begun = worker.running() if running is None else [e for e in worker.inflight.values() if e.task_id in running]
        waited = {entry.task_id for entry in begun if entry.task_id in worker.parked}
        was_leaving = worker.leaving
        entries = self.roster.drop(worker, now)
        if not (was_leaving and not entries):
            self.endings.notice_worker("worker.lost", worker.info.name, {"reason": reason}, now)
        blamed = {entry.task_id for entry in begun} - waited
        for entry in entries:
            entry.worker_name = worker.info.name
            if entry.task_id not in blamed:
                entry.attempts += entry.task_id in waited
                self._again(entry, now)
            else:
                self._blame(entry, worker, reason, running is None, now)
        self._shortage(worker.profile, now)

    def _blame(self, entry: Entry, worker: WorkerRecord, reason: str, uncertain: bool, now: float) -> None:
        entry.attempts += 1
        rare = entry.own_rare()
        if entry.cancelling:
            self.endings.cancel(entry, now)
        elif rare.overrun:
            rare.overrun = False
            self._timed_out(entry, now)
        else:
            rare.deaths += 1
            rare.suspect = uncertain
            if rare.deaths >= self._max_worker_deaths:
                text = f"task {entry.name!r} was running when worker {worker.info.name!r} {reason}, {rare.deaths} times in all"
                self.endings.fail(entry, now, WorkerDied(text))
            else:
                self._again(entry, now)

    def _again(self, entry: Entry, now: float) -> None:
        """Assign once more what was cut short by no fault of its own."""
        entry.worker = None
        self.endings.circuit_abandoned(entry, now)
        if entry.cancelling:
            self.endings.cancel(entry, now)
        else:
            entry.become(PENDING)
            self._make_ready(entry, now)

    def _settle(self, worker: WorkerRecord, now: float) -> None:
        if worker.exclusive and not worker.inflight:
            worker.exclusive = False
        self.roster.refresh(worker, now)
        self._touched[worker.profile] = None

    # -- answers ----------------------------------------------------------------------------

    def report(self, worker_id: str, report: Report, payloads: Sequence[Packed], now: float) -> bool:
        """Attempts ended. False when the worker is not known (any more), so that it should join again."""
        worker = self.roster.workers.get(worker_id)
        if worker is None:
            self.stale += len(report.ids)
            return False
        inflight = worker.inflight
        name = worker.info.name
        endings = self.endings
        category, total, count = None, 0, 0
        for row, (task_id, fence, ending, micros) in enumerate(
            zip(report.ids, report.fences, report.endings, report.micros, strict=True)
        ):
            entry = inflight.get(task_id)
            if entry is None or entry.fence != fence:
                self._stray_result(worker, report, row, payloads[row])
                continue
            del inflight[task_id]
            entry.worker = None
            entry.worker_name = name
            entry.attempts += 1
            entry.micros = micros
            if entry.category is not category:
                if category is not None:
                    category.observe(total / count)
                category, total, count = entry.category, 0, 0
            total += micros
            count += 1
            if ending == 0 and not entry.cancelling:
                entry.output = payloads[row]
                endings.complete(entry, now)
            else:
                self._failed(entry, report, row, payloads[row], now)
        if category is not None:
            category.observe(total / count)
        if worker.parked:
            worker.parked.intersection_update(inflight)
        self._settle(worker, now)
        return True

    def _stray_result(self, worker: WorkerRecord, report: Report, row: int, packed: Packed) -> None:
        task_id = report.ids[row]
        if self._strays.pop(task_id, None) is not None and task_id not in self.ledger.entries:
            self._orphans[task_id] = worker.info, report, row, packed
            while len(self._orphans) > MAX_STRAYS:
                self._orphans.popitem(last=False)
        else:
            self.stale += 1

    def _failed(self, entry: Entry, report: Report, row: int, packed: Packed, now: float) -> None:
        ending = report.endings[row]
        if entry.cancelling or ending == Ending.CANCELLED:
            self.endings.cancel(entry, now, report.errors.get(row))
            return
        if ending == Ending.TIMED_OUT:
            self._timed_out(entry, now)
            return
        entry.failures += 1
        entry.error = report.errors.get(row, "failed")
        entry.failure = report.failures.get(row)
        entry.output = packed if packed else None
        delay = report.again.get(row)
        if delay is None:
            self.endings.fail(entry, now)
        else:
            self._retry(entry, delay, now)

    def _timed_out(self, entry: Entry, now: float) -> None:
        spec = entry.category.spec
        entry.failures += 1
        error = TaskTimedOut(f"task {entry.name!r} ran longer than its timeout of {spec.timeout} s")
        entry.error, entry.failure, entry.output = str(error), Failure.of(error), None
        if spec.retry is not None and entry.failures < spec.retry.max_attempts:
            self._retry(entry, spec.retry.delay(entry.failures, self._random()), now)
        else:
            self.endings.fail(entry, now)

    def _retry(self, entry: Entry, delay: float, now: float) -> None:
        entry.become(PENDING)
        self.endings.circuit_failed(entry, now)
        if "task.retrying" in self.endings.wanted:
            self.endings.notice("task.retrying", entry, {"error": entry.error, "delay": delay, "failures": entry.failures}, now)
        self.agenda.at(now + delay, self._retry_due, entry)

    def _retry_due(self, entry: Entry, now: float) -> None:
        if not entry.final:
            self._make_ready(entry, now)

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
                self._again(entry, now)
        self._settle(worker, now)

    def park(self, worker_id: str, task_id: str, parked: bool, now: float) -> None:
        """A running task waits for other tasks and lends its slot, or goes on."""
        worker = self.roster.workers.get(worker_id)
        if worker is None or task_id not in worker.inflight:
            return
        if parked:
            worker.parked.add(task_id)
        else:
            worker.parked.discard(task_id)
        self._settle(worker, now)

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
            if entry.worker is not None:
                entry.cancelling = True
                halted.setdefault(entry.worker.info.worker_id, []).append(task_id)
                if force:
                    self.agenda.at(now + STOP_GRACE, self._insist, (entry, entry.fence))
            else:
                self._unready(entry)
                self.endings.cancel(entry, now)
        self.outbox.others += [Halt(worker_id, tasks, force) for worker_id, tasks in halted.items()]
        return accepted

    def _insist(self, subject: tuple[Entry, int], now: float) -> None:
        entry, fence = subject
        if entry.worker is not None and entry.fence == fence and not entry.final:
            entry.own_rare().overrun = not entry.cancelling
            self.outbox.others.append(Kill(entry.worker.info.worker_id, f"did not stop task {entry.name!r}"))

    def _unready(self, entry: Entry) -> None:
        requirement = entry.category.requirement
        requirement.waiting.pop(entry.task_id, None)
        fresh = self._fresh.get(requirement)
        if fresh and entry in fresh:
            fresh.remove(entry)
        elif (entry.order, entry) in requirement.ready:
            requirement.remove(entry)

    # -- want of workers --------------------------------------------------------------------

    def _shortage(self, profile: Profile, now: float) -> None:
        if profile.present:
            return
        for requirement in self.roster.requirements.values():
            if requirement.ready or requirement.waiting:
                self._check_short(requirement, now)

    def _check_short(self, requirement: Requirement, now: float) -> None:
        if requirement.short_since is None and not requirement.capable():
            requirement.short_since = now
            self.agenda.at(now + WARN_AFTER, self._warn_short, requirement)
            for entry in requirement.waiting.values():
                self.agenda.at(now + (entry.category.spec.expires_in or 0.0), self._expire, entry)
        if self.closing and requirement.short_since is not None and not self.roster.expects(requirement):
            for _, entry in list(requirement.ready):
                self._fail_short(entry, now)

    def _warn_short(self, requirement: Requirement, now: float) -> None:
        if requirement.short_since is not None and requirement.ready and not requirement.warned:
            requirement.warned = True
            waiting = len(requirement.ready)
            text = f"{waiting} task(s) wait for a worker with {requirement.describe()}; {self._present()}"
            self.outbox.others.append(Warn(text))

    def _expire(self, entry: Entry, now: float) -> None:
        requirement = entry.category.requirement
        if entry.final or entry.task_id not in requirement.waiting or entry.worker is not None:
            return
        if requirement.short_since is None:
            return  # somebody is there; should the last one leave, the time begins again
        due = requirement.short_since + (entry.category.spec.expires_in or 0.0)
        if now < due:
            self.agenda.at(due, self._expire, entry)
        else:
            self._fail_short(entry, now)

    def _fail_short(self, entry: Entry, now: float) -> None:
        self._unready(entry)
        requirement = entry.category.requirement
        text = f"no worker can take task {entry.name!r}: it needs {requirement.describe()}; {self._present()}"
        self.endings.fail(entry, now, NoCapableWorker(text))

    def _present(self) -> str:
        profiles = [profile for profile in self.roster.profiles.values() if profile.present]
        if not profiles:
            return "no worker is present"
        rows = [
            f"{profile.present} x role {profile.role!r}" + (f" ({describe_skills(profile.skills)})" if profile.skills else "")
            for profile in profiles[:20]
        ]
        return "present: " + "; ".join(rows)

    # -- the end ----------------------------------------------------------------------------

    def close(self, now: float) -> None:
        """No task comes from outside any more: what nobody could ever do, or what waits for nobody, fails now."""
        self.closing = True
        for task_id in list(self.ledger.awaited):
            for entry in self.ledger.awaited.get(task_id, []):
                if not entry.final:
                    self._fail_unknown(entry, now)
        self.check_short(now)

    def check_short(self, now: float) -> None:
        """Look again who could take what is ready; to be called when a local worker was given up."""
        for requirement in list(self.roster.requirements.values()):
            if requirement.ready:
                self._check_short(requirement, now)

    def _fail_unknown(self, entry: Entry, now: float) -> None:
        missing = self.ledger.unknown_ids(entry)
        text = f"task {entry.name!r} waits for {', '.join(map(repr, missing))}, which nobody submitted"
        self.endings.fail(entry, now, UnknownDependency(text, missing))

    @property
    def drained(self) -> bool:
        """Whether every task has ended."""
        return self.ledger.open == 0

    # -- stepping ---------------------------------------------------------------------------

    def flush(self, now: float) -> list[Command]:
        """Match what is ready to who is there, and return all that is to be done."""
        self.agenda.run(now)
        while self._fresh or self._touched:
            fresh, self._fresh = self._fresh, {}
            for requirement, entries in fresh.items():
                if len(entries) == 1:
                    requirement.push(entries[0])
                else:
                    requirement.extend(entries)
                if not requirement.capable():
                    self._check_short(requirement, now)
                for _, profile in requirement.profiles:
                    self._touched[profile] = None
            self._match(now)
        if "task.assigned" in self.endings.wanted:
            self._tell_assigned(now)
        return self.outbox.take()

    def _tell_assigned(self, now: float) -> None:
        for worker_id, entries in self.outbox.assigned.items():
            name = self.roster.workers[worker_id].info.name
            for entry in entries:
                entry.worker_name = name
                self.endings.notice("task.assigned", entry, {"attempt": entry.attempts + 1}, now)

    def _match(self, now: float) -> None:
        touched, self._touched = self._touched, {}
        timed = self._matcher.step(now)
        for entry in timed:
            timeout = entry.category.timeout or 0.0
            self.agenda.at(now + timeout + STOP_GRACE, self._insist, (entry, entry.fence))
        self._matcher.ahead(touched, now)
        if self.roster.loaded and self.roster.idle_profiles and not self._rebalance_due:
            self._rebalance_due = True
            self.agenda.at(now + REBALANCE_AFTER, self._rebalance, None)

    def _rebalance(self, _: None, now: float) -> None:
        self._rebalance_due = False
        self._matcher.rebalance()

    def entry(self, task_id: str) -> Entry:
        """The record of a task; `UnknownTask` when there is none (any more)."""
        found = self.ledger.entries.get(task_id)
        if found is None:
            raise UnknownTask(task_id)
        return found

