"""Outcomes of idempotent atoms, so that what was done once is answered and not done again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from callboard.engines.job import Ending, Job
from callboard.flows.task import Task
from callboard.messages.outcome import Outcome
from callboard.state import MemoryStore, StateManager, encode
from callboard.state.idempotency import Done, InFlight, Outcomes, idempotency_key

if TYPE_CHECKING:
    from callboard.engines.run import FlowRun

LEASE = 60.0
"""For how many seconds one who is at it keeps others from it, where the task has no time limit of its own."""
LOOK = 0.1
"""How often, in seconds, it is looked whether somebody else has finished."""


class Remembered:
    """Answers jobs from what the store remembers of their key: the given one, or that of their task and inputs."""

    def __init__(self, manager: StateManager | None) -> None:
        self._outcomes = Outcomes(MemoryStore() if manager is None else manager.store)

    def answers(self, run: FlowRun, job: Job) -> bool:
        """Whether the job need not be begun: it was answered, or somebody else is at it and will answer."""
        task = job.task
        job.key = _key(task, job.arguments)
        answer = self._outcomes.begin(job.key, self._owner(run, job), time.time(), task.timeout or LEASE)
        if isinstance(answer, Done):
            job.key = None
            run.jobs[job.node] = job
            run.take(job, Ending(Outcome(True, answer.outcome.load())))
            return True
        if isinstance(answer, InFlight):
            run.jobs[job.node] = job
            run.alarms.after(LOOK, partial(self._look_again, run, job))
            return True
        return False

    def finish(self, run: FlowRun, job: Job, output: Any) -> None:
        """Remember what came of a job. Raises `CannotStore`."""
        assert job.key is not None
        outcome = encode(output, f"the outcome of atom {job.name!r}")
        self._outcomes.finish(job.key, self._owner(run, job), outcome, time.time())

    def abandon(self, run: FlowRun, job: Job) -> None:
        """Nothing came of a job: the next may begin."""
        assert job.key is not None
        self._outcomes.abandon(job.key, self._owner(run, job))

    def forget(self, task: Task, arguments: Mapping[str, Any]) -> None:
        """What a task with these inputs did was undone, so that it is not done any more."""
        self._outcomes.forget(_key(task, arguments))

    def _look_again(self, run: FlowRun, job: Job) -> None:
        if run.jobs.get(job.node) is job:
            del run.jobs[job.node]
            if not self.answers(run, job):
                run.stand_in(job, job.task)

    def _owner(self, run: FlowRun, job: Job) -> str:
        # The same after a restart: who comes back need not wait for its own lease.
        return f"{run.run_id}/{job.name}"


def remembers(task: Task) -> bool:
    """Whether outcomes of a task are remembered."""
    return task.idempotent or task.idempotency_key is not None


def _key(task: Task, arguments: Mapping[str, Any]) -> str:
    return task.idempotency_key or idempotency_key(task.name, task.version, arguments)
