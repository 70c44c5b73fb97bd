"""Several atoms at once, in threads or in processes of their own."""

from __future__ import annotations

import os
import weakref
from typing import Any

from callboard.engines.children import Children
from callboard.engines.crew import Crew
from callboard.engines.executor import Executor
from callboard.engines.processes import ProcessCrew
from callboard.engines.run import FlowRun
from callboard.engines.threads import ThreadCrew
from callboard.messages.errors import InvalidSetting


class ParallelExecutor(Executor):
    """Runs up to ``max_workers`` atoms at once (by default as many as there are processors, and four more with threads).

    With ``processes`` each runs in a child process, where it has a processor to itself and can be stopped when its time
    is over; its instance is carried there, so nothing that it keeps on itself outlives the attempt. Scripts need no main
    guard. Controllers, deciders and conditions run in the calling thread. A child serves one job after the other, of all
    runs, with the environment that it began with; at rest it waits for more until `close`, or until the executor is gone.
    """

    def __init__(self, max_workers: int | None = None, processes: bool = False, **options: Any) -> None:
        super().__init__(**options)
        if max_workers is not None and (isinstance(max_workers, bool) or not isinstance(max_workers, int) or max_workers < 1):
            raise InvalidSetting(f"max_workers must be a whole number from 1, not {max_workers!r}")
        count = os.cpu_count() or 1
        self.max_workers = max_workers or (count if processes else count + 4)
        self.processes = processes
        self._children = Children(self.max_workers)
        # Also for those who never say close; it must not hold the executor itself.
        weakref.finalize(self, self._children.close)

    def close(self) -> None:
        """As every executor's, and end the child processes that are at rest; those at work stay until the executor is gone."""
        super().close()
        self._children.close()

    def crew(self, run: FlowRun) -> Crew:
        """Threads, or threads that each hold a child process."""
        return ProcessCrew(run, self.max_workers, self._children) if self.processes else ThreadCrew(run, self.max_workers)
