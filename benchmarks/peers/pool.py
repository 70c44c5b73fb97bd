"""``multiprocessing.Pool``: no task objects, results in no order."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable
from typing import Any

from benchmarks.peer import Peer
from benchmarks.work import noop, rest, square


class MultiprocessingPool(Peer):
    """Through ``imap_unordered`` with one task a chunk where there are many."""

    def start(self, workers: int) -> None:
        self._pool = multiprocessing.Pool(workers)

    def stop(self) -> None:
        self._pool.close()
        self._pool.join()

    def submit(self, function: Any, *args: Any) -> Any:
        return self._pool.apply_async(function, args)

    def result(self, ticket: Any) -> Any:
        return ticket.get()

    def many(self, count: int) -> None:
        for _ in self._pool.imap_unordered(noop, range(count), chunksize=1):
            pass

    def fan(self, count: int) -> int:
        return sum(self._pool.imap_unordered(square, range(count), chunksize=1))

    def rests(self, lengths: Iterable[float]) -> None:
        for _ in self._pool.imap_unordered(rest, lengths, chunksize=1):
            pass
