"""Calling the user's code here, with somebody to tell about its progress."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from callboard.engines.job import Ending, Job
from callboard.flows.interpretation import finish
from callboard.messages.context import current


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
        """Pass the event on."""
        self._tell(self._job, topic, data)


def perform(job: Job, tell: Callable[..., None]) -> Ending:
    """Call the code of a job to its end. A BaseException that is no Exception is an ending as well."""
    token = current.set(LocalWork(job, tell))
    try:
        outcome = job.call()
        if isinstance(outcome, Awaitable):
            outcome = finish(outcome)
        return Ending(outcome)
    except BaseException as error:  # the user's code; what is no Exception is raised again by the run
        return Ending(None, error)
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
    except Exception as error:  # the user's code; a cancellation is not for us to swallow
        return Ending(None, error)
    finally:
        current.reset(token)
