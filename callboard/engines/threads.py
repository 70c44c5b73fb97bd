"""Jobs in threads."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable

from callboard.engines.job import Ending, Job
from callboard.engines.perform import perform
from callboard.engines.run import FlowRun


class ThreadCrew:
    """Up to ``size`` threads, begun when there is work for them.

    They are daemons: one that hangs in the user's code is left behind when nobody waits for its job any more, and
    another takes its place.
    """

    judges = False

    def __init__(self, run: FlowRun, size: int) -> None:
        self.run = run
        self.queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._size = size
        self._threads = 0

    def room(self) -> int:
        """How many more jobs there are threads for."""
        return self._size - len(self.run.jobs)

    def start(self, job: Job) -> None:
        """Hand a job to a free thread."""
        if self._threads < min(len(self.run.jobs), self._size):
            self._threads += 1
            threading.Thread(target=self.work, name=f"callboard-{self.run.name}", daemon=True).start()
        self.queue.put(job)

    def drop(self, job: Job) -> None:
        """Leave the thread of a job to itself."""
        self._threads -= 1

    def close(self, left: Iterable[Job]) -> None:
        """Let the threads end as they become free."""
        for _ in range(self._threads):
            self.queue.put(None)

    def perform(self, job: Job) -> Ending:
        """Carry one job out, in a thread of its own."""
        return perform(job, self.run.tell)

    def work(self) -> None:
        """Carry out jobs until there are no more; a thread whose job nobody waits for ends with it."""
        while (job := self.queue.get()) is not None:
            ending = self.perform(job)
            if job.cancelled:
                return
            self.run.done(job, ending)
