"""What an executor has in common for all its runs: what follows an atom's failure, and who is told."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from callboard.engines.job import Ending, Job
from callboard.engines.memory import Remembered, remembers
from callboard.engines.notifier import Notifier
from callboard.events import EventEmitter
from callboard.flows.task import Task
from callboard.messages.errors import CallboardError, CircuitOpen, TaskFailed
from callboard.messages.failure import Failure
from callboard.messages.result import TaskResult
from callboard.messages.status import TaskStatus
from callboard.resilience import CircuitBreaker
from callboard.resilience.judgement import judged

if TYPE_CHECKING:
    from callboard.engines.run import FlowRun

logger = logging.getLogger("callboard")


class Judge:
    """Applies circuit breakers, retry policies, fallbacks and idempotency keys to the jobs of an executor's runs."""

    def __init__(self, emitter: EventEmitter | None, remembered: Remembered) -> None:
        self.notifier = Notifier()
        self.atom_notifier = Notifier()
        self.remembered = remembered
        self._emitter = emitter
        self._breakers: dict[str, CircuitBreaker] = {}

    @property
    def emits(self) -> bool:
        """Whether there is an emitter to be told."""
        return self._emitter is not None

    def emit(self, topic: str, name: str, data: Mapping[str, Any]) -> None:
        """Tell the emitter, if there is one. What it refuses, such as a topic that it does not know, changes no run."""
        if self._emitter is not None:
            try:
                self._emitter.emit(topic, **{"name": name, **data})
            except CallboardError as error:
                logger.warning("the emitter was not told of %r: %s", topic, error)

    def admit(self, run: FlowRun, job: Job) -> Job | None:
        """The job, if it may be begun; None where its outcome is known or its circuit open, and the run was told so."""
        task = job.task
        if remembers(task) and self.remembered.answers(run, job):
            return None
        if task.breaker is not None and not run.crew_judges:
            guard = self._breaker(task).guard()
            try:
                guard.__enter__()
            except CircuitOpen as error:
                run.jobs[job.node] = job
                run.take(job, Ending(None, error, begun=False))
                return None
            job.guard = guard
        return job

    def settle(self, job: Job, ending: Ending) -> None:
        """Tell a job's circuit how it ended."""
        guard, job.guard = job.guard, None
        error = ending.error
        if error is None and (ending.outcome is None or not ending.outcome.success):
            error = TaskFailed("the task reported a failure")
        if guard is not None:
            try:
                guard.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
            except BaseException as raised:
                if raised is not error:
                    raise

    def failed(self, run: FlowRun, job: Job, ending: Ending) -> None:
        """An attempt failed: try again, let the fallback stand in, or give up."""
        error = ending.error or TaskFailed((ending.outcome.error if ending.outcome else None) or "the task reported a failure")
        if job.key is not None:
            self.remembered.abandon(run, job)
        if not job.stands_in:
            delay = None if run.crew_judges else self._delay(run, job, ending.error)
            if delay is not None:
                run.values.setbacks[job.node] = (error, ending.failure or Failure.of(error))
                run.machine.again(job.node, delay)
                if delay > 0:
                    run.alarms.after(delay, partial(run.machine.due, job.node))
                return
            if isinstance(job.task.fallback, Task):
                run.stand_in(job, job.task.fallback)
                return
            if job.task.fallback is not None:
                run.finish(job, job.task.fallback)
                return
        if job.task.tolerated:
            failure = ending.failure or Failure.of(error)
            run.finish(job, TaskResult(job.task.id, job.name, TaskStatus.FAILED, None, str(failure), failure, None, job.attempt))
        else:
            if not ending.begun and job.attempt == 1:
                run.machine.attempts[job.node] = 0
            run.give_up(job.node, error, ending.failure)

    def _delay(self, run: FlowRun, job: Job, error: BaseException | None) -> float | None:
        policy = job.task.retry_policy
        if policy is None:
            return None
        count, began = run.values.tries.get(job.node, (0, job.began))
        run.values.tries[job.node] = (count + 1, began)
        return judged(policy, error, count + 1, time.monotonic() - began)

    def _breaker(self, task: Task) -> CircuitBreaker:
        if isinstance(task.breaker, CircuitBreaker):
            return task.breaker
        return self._breakers.setdefault(task.breaker, CircuitBreaker(task.breaker))
