"""One run of a flow: the pure machine's commands carried out, its journal written, and whoever listens told."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from functools import partial
from typing import Any

from callboard.engines.alarm import Alarms
from callboard.engines.crew import Crew
from callboard.engines.inbox import LONGEST, Inbox, Thunk
from callboard.engines.job import Ending, Job
from callboard.engines.judge import Judge
from callboard.engines.opening import Opening
from callboard.engines.phase import Phase
from callboard.engines.result import FlowResult
from callboard.engines.steps import Steps
from callboard.flows.command import Await, Consult, Decide, Execute, Revert, Sleep
from callboard.flows.state import ENDED, FLOW_TRANSITIONS, AtomState, FlowStatus
from callboard.flows.task import Task
from callboard.messages.errors import TaskTimedOut
from callboard.messages.failure import Failure
from callboard.messages.status import check_transition

POLL = 0.2
"""How often, in seconds, a run that waits for a signal looks for it in the store."""


class FlowRun:
    """One run. Whoever drives it goes through `phases` and, at each WAITING, waits as `must_wait` says.

    `suspend`, `cancel`, `signal` and `post` may be called from any thread; all else belongs to the driving one.
    ``deadline`` is seconds from the beginning.
    """

    def __init__(self, opening: Opening, judge: Judge, deadline: float | None = None) -> None:
        self.opening = opening
        self.run_id = opening.run_id
        self.name = opening.flow.name
        self.status = opening.status
        self.driven = False
        self.machine = opening.machine
        self.values = opening.values
        self.recorder = opening.recorder
        self.notifier = judge.notifier
        self.atom_notifier = judge.atom_notifier
        self.jobs: dict[int, Job] = {}
        self.alarms = Alarms()
        self.inbox = Inbox()
        self.post = self.inbox.post
        self.judge = judge
        self._steps = Steps(self)
        self._crew: Crew | None = None
        self._deadline = deadline
        self._began = time.monotonic()
        self._problems = opening.problems
        self._polled = 0.0
        self._news: list[Thunk] = []

    # -- from any thread ------------------------------------------------------------------------------

    def suspend(self) -> None:
        """Begin nothing new; what runs may end. Said before the run, nothing of it begins."""
        self.post(self._suspend)

    def cancel(self) -> None:
        """Begin nothing new, and wait for nothing that runs."""
        for job in list(self.jobs.values()):
            job.cancelled = True
        self.post(self.machine.cancel)

    def signal(self, name: str, value: Any = None) -> None:
        """Say something to the atoms that wait for it, now or later."""
        self.post(partial(self._steps.hear, name, value))

    def done(self, job: Job, ending: Ending) -> None:
        """A job has ended; for crews."""
        self.post(partial(self.take, job, ending))

    def tell(self, job: Job, topic: str, data: Mapping[str, Any]) -> None:
        """A job has something to say; for crews."""
        self.post(partial(self.hear, job, topic, data))

    # -- driving ----------------------------------------------------------------------------------------

    def phases(self, crew: Crew) -> Generator[Phase | FlowStatus, None, None]:
        """Carry the run out with ``crew``. What the store raises ends it, as a crash would."""
        self._crew = crew
        try:
            yield Phase.RESUMING
            self._open()
            over = self.status in ENDED
            while not over:
                yield Phase.SCHEDULING
                for job in self.schedule(crew):
                    crew.start(job)
                yield Phase.WAITING
                yield Phase.ANALYZING
                self.analyze()
                over = self.is_over()
            self._close()
        finally:
            left, self.jobs = list(self.jobs.values()), {}
            for job in left:
                job.cancelled = True
            crew.close(left)
            self._let_go()
        yield self.status

    def schedule(self, crew: Crew) -> list[Job]:
        """Carry out what the machine wants; what is for the crew is given back, to be started now that it is written down."""
        if self.machine.changes and self.atom_notifier:
            # Who is told that an atom has ended may suspend or cancel the run before the next one begins.
            self.record()
            self.inbox.drain()
        jobs = self._steps.stand_ins()
        room = crew.room()
        machine, steps = self.machine, self._steps
        while len(jobs) < room and (command := machine.pop()) is not None:
            job: Job | None = None
            if type(command) is Execute:
                job = steps.execute(command.node, command.attempt)
            elif type(command) is Revert:
                job = steps.revert(command.node)
            elif type(command) is Decide:
                steps.decide(command.node)
            elif type(command) is Consult:
                steps.consult(command.controller, command.failed)
            elif type(command) is Sleep:
                self.alarms.after(command.delay, partial(machine.due, command.node))
            elif type(command) is Await:
                steps.await_signal(command.node)
            if job is not None:
                self.jobs[job.node] = job
                jobs.append(job)
                self._limit(job)
        self.record()
        return jobs

    def must_wait(self) -> bool:
        """Whether nothing can be done until something happens. What has happened is written down before anybody waits."""
        if self.machine.changes or not self.inbox.empty() or self.alarms.due() or self._steps.waiting_stand_ins():
            return False
        if self.machine.stirring() and (self._crew is None or self._crew.room() > 0):
            return False
        return not self.is_over()

    def patience(self) -> float | None:
        """Seconds until something is due whatever happens; None: for ever."""
        waits = [self.alarms.next()]
        if self._deadline is not None:
            waits.append(self._began + self._deadline - time.monotonic())
        if self.machine.awaiting and self.opening.manager is not None:
            waits.append(POLL)
        known = [min(max(wait, 0.0), LONGEST) for wait in waits if wait is not None]
        return min(known, default=None)

    def block(self) -> None:
        """Wait until something happens or is due, in a thread of one's own."""
        if self.must_wait():
            self.inbox.wait(self.patience())

    def analyze(self) -> None:
        """Take in what has happened."""
        self.inbox.drain()
        self.alarms.ring()
        if self.machine.awaiting:
            self._poll_signals()
        if self._deadline is not None and time.monotonic() - self._began >= self._deadline and not self.is_over():
            self.problem(self.name, TaskTimedOut(f"flow {self.name!r} was not done after {self._deadline} seconds"))
            self.machine.cancel()

    def is_over(self) -> bool:
        """Whether nothing runs, nothing can begin and nothing is waited for."""
        machine = self.machine
        if machine.cancelled:
            return True
        if self.jobs or machine.stirring() or self._steps.waiting_stand_ins():
            return False
        return machine.suspended or not machine.held()

    def result(self) -> FlowResult:
        """How the run stands."""
        root = self.opening.root
        failures = {name: Failure.of(error) for name, error in self._problems.items()}
        errors = list(self._problems.values())
        if self.status is not FlowStatus.COMPLETED:
            failures |= self.values.flow_failures()
            errors += self.values.errors.values()
        return FlowResult(
            self.run_id,
            self.name,
            self.status,
            self.values.output(root) if self.status is FlowStatus.COMPLETED else None,
            self.values.outputs(),
            failures,
            {node.name: self.machine.state[number] for number, node in self.opening.plan.atoms()},
            time.monotonic() - self._began,
            tuple({id(error): error for error in errors}.values()),
        )

    # -- what happens -------------------------------------------------------------------------------------

    def take(self, job: Job, ending: Ending) -> None:
        """Take the ending of a job, unless nobody waits for it any more."""
        if self.jobs.get(job.node) is not job:
            return
        del self.jobs[job.node]
        if job.guard is not None:
            self.judge.settle(job, ending)
        if ending.error is not None and not isinstance(ending.error, Exception):
            raise ending.error
        if job.undo:
            self._steps.undone(job, ending)
        elif ending.outcome is not None and ending.outcome.success:
            self._steps.finish(job, ending.outcome.output)
        else:
            self.judge.failed(self, job, ending)

    def hear(self, job: Job, topic: str, data: Mapping[str, Any]) -> None:
        """Pass on what a job says."""
        if topic == "progress" and self.recorder is not None and self.jobs.get(job.node) is job:
            self.recorder.progress(job.node, data["progress"])
        if self.atom_notifier:
            self.atom_notifier.notify(topic, {**data, "task_name": job.name, "flow_name": self.name, "run_id": self.run_id})
        self.judge.emit(topic, job.name, data)

    def give_up(self, node: int, error: BaseException, failure: Failure | None = None) -> None:
        """An atom failed for good."""
        self.values.fail(node, error, failure)
        self.machine.failed(node)

    def problem(self, name: str, error: BaseException) -> None:
        """Something failed that is no atom: a controller's decision, a deadline."""
        self._problems[name] = error

    def record(self) -> None:
        """Write what has changed since the last time, in one transaction, and tell of it in the same order."""
        self.gather()
        if self.recorder is not None:
            self.recorder.commit()
        news, self._news = self._news, []
        for tell in news:
            tell()

    def gather(self) -> None:
        """Take the machine's changes for the next `record`, and let go what they end."""
        transitions, self.machine.changes = self.machine.changes, []
        for node, _, new in transitions:
            if new is AtomState.FAILED:
                self.values.promote(node)
        if self.recorder is not None:
            self.recorder.stage(transitions)
        listened = bool(self.atom_notifier)
        for node, old, new in transitions:
            if listened:
                self._news.append(self._told_of(node, old, new))
            if new is AtomState.REVERTED or new is AtomState.PENDING:
                self._steps.clean(node, new)

    def stand_in(self, job: Job, task: Task) -> None:
        """Let a task run in a job's place."""
        self._steps.stand_in(job, task)

    def finish(self, job: Job, output: Any) -> None:
        """An atom has its result."""
        self._steps.finish(job, output)

    @property
    def listened(self) -> bool:
        """Whether anybody listens to what atoms say."""
        return self.recorder is not None or bool(self.atom_notifier) or self.judge.emits

    @property
    def has_deadline(self) -> bool:
        """Whether the whole run has to be done by a time."""
        return self._deadline is not None

    @property
    def crew_judges(self) -> bool:
        """Whether retries, limits and breakers are seen to by the crew."""
        return self._crew is not None and self._crew.judges

    # -- inside --------------------------------------------------------------------------------------------

    def _let_go(self) -> None:
        """Hold nobody who holds this run: the user's values in it are freed as soon as nobody asks for them any more."""
        self._crew = None
        self.alarms.clear()
        self._steps.close()

    def _open(self) -> None:
        if self.status in ENDED:
            return
        self.inbox.drain()
        self._go(FlowStatus.RUNNING if not self.machine.suspended else FlowStatus.SUSPENDED)
        self.opening.begin()

    def _close(self) -> None:
        if self.status in ENDED:
            return
        status = self.opening.ending(self.machine.status())
        if status is not self.status:
            self._go(status)
        self.record()

    def _go(self, status: FlowStatus) -> None:
        if status is self.status:
            return
        check_transition(FLOW_TRANSITIONS, self.status, status, f"flow {self.name!r}")
        self.gather()
        old, self.status = self.status, status
        if self.recorder is not None:
            self.recorder.status(status)
        details = {"flow_name": self.name, "run_id": self.run_id, "old_state": old}
        self._news.append(partial(self.notifier.notify, status.value, details))
        self._news.append(partial(self.judge.emit, f"flow.{status.value}", self.name, {"run_id": self.run_id}))

    def _suspend(self) -> None:
        self.machine.suspend()
        if self.status is FlowStatus.RUNNING:
            self._go(FlowStatus.SUSPENDING)

    def _limit(self, job: Job) -> None:
        if job.task.timeout is not None and self._crew is not None and not self._crew.judges:
            self.alarms.after(job.task.timeout, partial(self._overrun, job))

    def _overrun(self, job: Job) -> None:
        if self.jobs.get(job.node) is job and self._crew is not None:
            job.cancelled = True
            self._crew.drop(job)
            self.take(job, Ending(None, TaskTimedOut(f"task {job.name!r} ran longer than its timeout of {job.task.timeout} s")))

    def _poll_signals(self) -> None:
        if self.opening.manager is not None and time.monotonic() - self._polled >= POLL:
            self._polled = time.monotonic()
            for name, value in self.opening.manager.signals(self.run_id).items():
                self._steps.hear(name, value)

    def _told_of(self, node: int, old: AtomState, new: AtomState) -> Thunk:
        known = self.opening.plan.nodes[node]
        details = {"task_name": known.name, "flow_name": self.name, "run_id": self.run_id, "old_state": old}
        if new is AtomState.COMPLETED or new is AtomState.REVERTING:
            details["result"] = self.values.results.get(node)
        elif new in (AtomState.FAILED, AtomState.RETRYING):
            details["result"] = self.values.own(node)
        elif new is AtomState.REVERT_FAILED:
            details["result"] = self.values.revert_failures.get(node)
        return partial(self.atom_notifier.notify, new.value, details)
