"""``concurrent.futures.ProcessPoolExecutor``."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from typing import Any

from benchmarks.peer import Peer


class ProcessPool(Peer):
    """One future a task."""

    def start(self, workers: int) -> None:
        self._pool = ProcessPoolExecutor(workers)

    def stop(self) -> None:
        self._pool.shutdown()

    def submit(self, function: Any, *args: Any) -> Any:
        return self._pool.submit(function, *args)

    def result(self, ticket: Any) -> Any:
        return ticket.result()
