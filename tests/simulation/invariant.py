"""What must hold after every step, whatever went wrong before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from callboard.actors.dispatch.command import Deliver
from callboard.actors.dispatch.credit import ahead_allowed
from callboard.actors.dispatch.dispatcher import Dispatcher
from callboard.actors.dispatch.entry import Entry
from callboard.actors.dispatch.record import WorkerRecord
from callboard.messages.status import FINAL, TaskStatus
from callboard.messages.task import Submission
from callboard.messages.wire import Ending, Report

if TYPE_CHECKING:
    from tests.simulation.world import World

PENDING, RUNNING, COMPLETED = TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.COMPLETED


class Violated(AssertionError):
    """An invariant does not hold."""


def demand(holds: object, text: str) -> None:
    if not holds:
        raise Violated(text)


def fail(text: str) -> NoReturn:
    raise Violated(text)


class Invariants:
    """Watches one dispatcher from outside."""

    def __init__(self, world: World, dispatcher: Dispatcher) -> None:
        self._world = world
        self._dispatcher = dispatcher
        self._open: dict[str, Entry] = {}
        self._nonces: dict[str, int] = {}
        self._told: dict[str, TaskStatus] = {}
        self._before: list[tuple[Entry, int, bool]] = []
        self._seen = 0
        self._records: dict[Entry, None] = {}  # all that there ever were, since the archive keeps but rows

    # -- as things happen -----------------------------------------------------------------------

    def submitted(self, submissions: list[Submission], refused: list[Submission]) -> None:
        ledger = self._dispatcher.ledger
        for submission in submissions:
            if submission not in refused:
                demand(submission.task_id in ledger, f"{submission.task_id} was accepted and is not known")

    def assigned(self, worker_id: str, entries: list[Entry]) -> list[int]:
        """No worker has more than its credit, and what it needs is there. Returns a number for each attempt."""
        ledger = self._dispatcher.ledger
        worker = self._dispatcher.roster.workers[worker_id]
        categories = [entry.category for entry in entries]
        ahead = max(0 if each.mean is None else ahead_allowed(each.mean, each.timeout) for each in categories)
        allowed = worker.info.slots + len(worker.parked) + len(worker.lent) + ahead
        load = len(worker.inflight) + len(worker.foreign)
        demand(load <= allowed, f"{worker_id} has {load} tasks, its credit is {allowed}")
        for entry in entries:
            self._nonces[entry.task_id] = self._world.nonce()
            demand(entry.worker is worker, f"{entry.task_id} was assigned and is not at the worker")
            demand(entry.payload is not None, f"{entry.task_id} has ended and was assigned")
            for task_id in entry.dependencies:
                needed = ledger.entries.get(task_id)
                demand(needed is not None and needed.output is not None, f"{entry.task_id} was assigned without {task_id}")
        return [self._nonces[entry.task_id] for entry in entries]

    def reported(self, report: Report, outputs: list[bytes]) -> None:
        """What a task completed with is the output of the attempt that was given out last."""
        ledger = self._dispatcher.ledger
        for row, task_id in enumerate(report.ids):
            entry = ledger.find(task_id)
            if entry is None or entry.output is not outputs[row] or report.endings[row] != Ending.COMPLETED:
                continue
            # What an earlier manager gave out has no number here.
            nonce = self._nonces.get(task_id)
            demand(nonce is None or outputs[row] == str(nonce).encode(), f"{task_id}: the answer of an older attempt was taken")

    def before_loss(self, worker_id: str) -> None:
        worker = self._dispatcher.roster.workers.get(worker_id)
        host = self._world.workers.get(worker_id)
        self._before = []
        if worker is not None and host is not None:
            for entry in worker.inflight.values():
                self._before.append((entry, entry.rare.deaths, host.waits(entry.task_id, entry.fence)))

    def after_loss(self, running: list[str] | None, ordered: bool) -> None:
        """Only what was running is blamed; where nobody can know, what was on its way to the worker may be as well."""
        for entry, deaths, waited in self._before:
            if entry.rare.deaths > deaths:
                demand(not ordered, f"{entry.task_id} was blamed for a death that was ordered")
                demand(not waited, f"{entry.task_id} was blamed for a death and had not begun")
                demand(running is None or entry.task_id in running, f"{entry.task_id} was blamed and known not to run")

    def delivered(self, command: Deliver) -> None:
        """A task has one outcome."""
        for entry in command.entries:
            demand(entry.status not in (PENDING, RUNNING), f"{entry.task_id} was delivered while {entry.status}")
            told = self._told.setdefault(entry.task_id, entry.status)
            released = entry.failure is not None and entry.failure.type_name == "OutputReleased"
            demand(told is entry.status or released, f"{entry.task_id} ended {told} and then {entry.status}")
            if isinstance(entry, Entry):
                self._records[entry] = None
                demand(entry.status is not COMPLETED or entry.output is not None, f"{entry.task_id} completed without its output")

    # -- after each step ------------------------------------------------------------------------

    def check(self) -> None:
        """Every open task is where somebody will find it."""
        ledger = self._dispatcher.ledger
        known = ledger.entries
        self._notice_new(known)
        ready = self._all_ready()
        ended = []
        for task_id, entry in self._open.items():
            if entry.status in FINAL:
                ended.append(task_id)
            elif known.get(task_id) is not entry:
                fail(f"{task_id} was accepted and forgotten")
            elif entry.status is RUNNING:
                self._runs(entry, ready)
            else:
                self._pends(entry, ready)
        for task_id in ended:
            del self._open[task_id]
        demand(ledger.open == len(self._open), f"{ledger.open} tasks are counted open, {len(self._open)} are")
        for worker in self._dispatcher.roster.workers.values():
            self._consistent(worker)

    def _notice_new(self, entries: dict[str, Entry]) -> None:
        if self._dispatcher.taken > self._seen:
            self._records.update(dict.fromkeys(entries.values()))
            self._open.update((entry.task_id, entry) for entry in entries.values() if not entry.final)
            self._seen = self._dispatcher.taken

    def _all_ready(self) -> set[Entry]:
        requirements = self._dispatcher.roster.requirements.values()
        pools = {requirement.pool for requirement in requirements}
        suspects = {entry for each in requirements for entry in each.suspects if entry.category.requirement is each}
        return suspects | {entry for pool in pools for entry in pool if entry.category.requirement.pool is pool}

    def _runs(self, entry: Entry, ready: set[Entry]) -> None:
        worker = entry.worker
        if worker is None or worker.inflight.get(entry.task_id) is not entry:
            fail(f"{entry.task_id} runs nowhere")
        if entry in ready:
            fail(f"{entry.task_id} runs and is ready")

    def _pends(self, entry: Entry, ready: set[Entry]) -> None:
        rare = entry.rare
        if entry.worker is not None:
            fail(f"{entry.task_id} is pending and has a worker")
        if rare.replaced:
            stood_for = any(held.rare.stand_in_for is entry for held in self._dispatcher.endings.held)
            demand(stood_for or (rare.stand_in is not None and not rare.stand_in.final), f"{entry.task_id} has lost its fallback")
        elif entry.waiting_for:
            self._waits(entry, ready)
        elif entry not in ready and (entry.timer is None or entry.timer.action is None):
            fail(f"{entry.task_id} waits for nothing and is not ready")

    def _waits(self, entry: Entry, ready: set[Entry]) -> None:
        ledger = self._dispatcher.ledger
        count = 0
        for task_id in set(entry.dependencies):
            needed = ledger.entries.get(task_id)
            if needed is None:
                count += 1
                if entry not in ledger.awaited.get(task_id, ()):
                    fail(f"{entry.task_id} waits for {task_id} and nobody knows")
            elif needed.status not in FINAL:
                count += 1
        leader = entry.rare.leader
        if leader is not None and not leader.final:
            count += 1
            demand(entry in leader.rare.followers, f"{entry.task_id} follows {leader.task_id}, which does not know")
        if count != entry.waiting_for:
            fail(f"{entry.task_id} counts {entry.waiting_for} that it waits for, there are {count}")
        if entry in ready:
            fail(f"{entry.task_id} is ready and waits for others")

    def _consistent(self, worker: WorkerRecord) -> None:
        name = worker.info.worker_id
        for task_id, entry in worker.inflight.items():
            if entry.worker is not worker or entry.status is not RUNNING:
                fail(f"{name} has {task_id}, which is {entry.status} elsewhere")
        if not worker.peculiar and worker.has_peculiarities():
            fail(f"nobody said that {name} is peculiar")
        idle = not worker.closed and worker.open_slots > 0
        if (worker in worker.profile.idle) is not idle or (worker.idle_key is not None) is not idle:
            fail(f"{name} is {'not ' * (not idle)}idle, the roster says otherwise")
        if worker.alone is not None and worker.alone.task_id not in worker.parked:
            company = [task_id for task_id in worker.inflight if task_id not in worker.parked]
            demand(company == [worker.alone.task_id] or worker.alone.task_id in company, f"{name} does not run its suspect")

    # -- at the end -----------------------------------------------------------------------------

    def check_end(self) -> None:
        """Nothing lingers."""
        dispatcher = self._dispatcher
        demand(dispatcher.drained and dispatcher.ledger.open == 0, "tasks are open at the end")
        demand(not dispatcher.ledger.awaited, f"unknown ids are still awaited: {list(dispatcher.ledger.awaited)}")
        for requirement in dispatcher.roster.requirements.values():
            demand(not requirement.backlog and not requirement.waiting, f"{requirement.describe()}: something is still ready")
        for worker in dispatcher.roster.workers.values():
            name = worker.info.worker_id
            demand(not worker.inflight and not worker.parked, f"{name} still has {list(worker.inflight)}")
            demand(not worker.reserved and worker.alone is None, f"{name} is still kept for a suspect")
            demand(not worker.foreign, f"{name} still has foreign {list(worker.foreign)}")
        demand(not dispatcher.roster.loaded, "a worker is still loaded")
        remembered = [dispatcher.entry(task_id) for task_id in (*dispatcher.ledger.entries, *dispatcher.ledger.archive)]
        for entry in dict.fromkeys([*self._records, *remembered]):
            demand(entry.final, f"{entry.task_id} is {entry.status}")
            demand(entry.timer is None, f"{entry.task_id} still has a deadline")
            demand(not entry.rare.followers and entry.dependents is None and entry.users == 0, f"{entry.task_id} is still waited for")
