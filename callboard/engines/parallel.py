"""Several atoms at once, in threads or in processes of their own."""

from __future__ import annotations

import os
from typing import Any

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
    guard. Controllers, deciders and conditions run in the calling thread.
    """

    def __init__(self, max_workers: int | None = None, processes: bool = False, **options: Any) -> None:
        super().__init__(**options)
        if max_workers is not None and (isinstance(max_workers, bool) or not isinstance(max_workers, int) or max_workers < 1):
            raise InvalidSetting(f"max_workers must be a whole number from 1, not {max_workers!r}")
        count = os.cpu_count() or 1
        self.max_workers = max_workers or (count if processes else count + 4)
        self.processes = processes

    def crew(self, run: FlowRun) -> Crew:
        """Threads, or threads that each hold a child process."""
        return ProcessCrew(run, self.max_workers) if self.processes else ThreadCrew(run, self.max_workers)
