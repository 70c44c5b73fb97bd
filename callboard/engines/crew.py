"""Who carries out jobs: what every kind of executor brings along."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from callboard.engines.job import Ending, Job

Done = Callable[[Job, Ending], None]
"""Takes the ending of a job; may be called from any thread."""
Tell = Callable[[Job, str, dict[str, Any]], None]
"""Takes what a job says while it runs: ``progress``, or an event of its own; may be called from any thread."""


class Crew(Protocol):
    """Carries out the jobs of one run."""

    judges: bool
    """Whether retry policies, time limits and breakers are applied there, and not by the run."""

    def room(self) -> int:
        """How many jobs may be begun now."""
        ...

    def start(self, job: Job) -> None:
        """Begin a job."""
        ...

    def drop(self, job: Job) -> None:
        """Wait no longer for a job, and stop it if that can be done."""
        ...

    def close(self, left: Iterable[Job]) -> None:
        """The run is over; nobody waits for the jobs that are ``left``."""
        ...
