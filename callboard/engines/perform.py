"""Calling the user's code here, with somebody to tell about its progress."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from callboard.engines.job import Ending, Job
from callboard.flows.interpretation import finish
from callboard.messages.context import current
from callboard.messages.errors import TaskFailed


class LocalWork:
    """The running attempt as its own code sees it; what it says goes to ``tell``."""

    def __init__(self, job: Job, tell: Callable[..., None]) -> None:
        self._job = job
        self._tell = tell

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self._job.attempt

    @property
    def cancelled(self) -> bool:
        """Whether the run no longer waits for this attempt."""
        return self._job.cancelled

    def progress(self, fraction: float, text: str = "") -> None:
        """Pass the progress on."""
        self._tell(self._job, "progress", {"progress": fraction, "text": text})

    def emit(self, topic: str, **data: Any) -> None:
        """Pass the event on. Raises `InvalidSetting` for what is no topic."""
        from callboard.events.topic import check_topic  # late: most tasks say nothing

        self._tell(self._job, check_topic(topic), data)


def perform(job: Job, tell: Callable[..., None]) -> Ending:
    """Call the code of a job to its end. A BaseException that is no Exception is an ending as well."""
    token = current.set(LocalWork(job, tell))
    try:
        outcome = job.call()
        if isinstance(outcome, Awaitable):
            outcome = finish(outcome)
        return Ending(outcome)
    except BaseException as error:  # the user's code; what is no Exception is raised again by the run
        return Ending(None, _own(error, job))
    finally:
        current.reset(token)


async def perform_async(job: Job, tell: Callable[..., None]) -> Ending:
    """Call the code of a job whose method is async, in the running loop."""
    token = current.set(LocalWork(job, tell))
    try:
        outcome = job.call()
        if isinstance(outcome, Awaitable):
            outcome = await outcome
        return Ending(outcome)
    except BaseException as error:  # the user's code; a cancellation that the run asked for is not for us to swallow
        if job.cancelled:
            raise
        return Ending(None, _own(error, job))
    finally:
        current.reset(token)


def _own(error: BaseException, job: Job) -> BaseException:
    """What the user's code raised. A cancellation from within it, as of something that it awaits, is a failure like any other."""
    if isinstance(error, Exception):
        return error
    from asyncio import CancelledError  # late: a child process that runs nothing async need not import it

    if not isinstance(error, CancelledError):
        return error
    failed = TaskFailed(f"task {job.name!r} was cancelled by its own code, and not by the run")
    failed.__cause__ = error
    return failed
