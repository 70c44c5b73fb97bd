"""Everything in the thread that called."""

from __future__ import annotations

from collections.abc import Iterable

from callboard.engines.crew import Crew
from callboard.engines.executor import Executor
from callboard.engines.job import Job
from callboard.engines.perform import perform
from callboard.engines.run import FlowRun
from callboard.engines.threads import ThreadCrew


class SyncExecutor(Executor):
    """Runs one atom after the other, in the calling thread: those that are ready by priority, then as they were added.

    An atom with a ``timeout``, and every atom of a run with a deadline, runs in a thread of its own, so that it need not
    be waited for.
    """

    def crew(self, run: FlowRun) -> Crew:
        """The calling thread."""
        return _Caller(run)


class _Caller:
    judges = False

    def __init__(self, run: FlowRun) -> None:
        self._run = run
        self._aside: ThreadCrew | None = None

    def room(self) -> int:
        return 0 if self._run.jobs else 1

    def start(self, job: Job) -> None:
        if job.task.timeout is None and not self._run.has_deadline:
            self._run.take(job, perform(job, self._run.hear))
            return
        if self._aside is None:
            self._aside = ThreadCrew(self._run, 1)
        self._aside.start(job)

    def drop(self, job: Job) -> None:
        if self._aside is not None:
            self._aside.drop(job)

    def close(self, left: Iterable[Job]) -> None:
        if self._aside is not None:
            self._aside.close(left)
