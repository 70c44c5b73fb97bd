"""Workers that have a slot free, the longest idle first."""

from __future__ import annotations

from bisect import bisect
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callboard.actors.dispatch.record import WorkerRecord

IdleKey = int
"""Sorts idle workers: by the moment since when they are, and then by when they joined."""
MOMENT = 1 << 42
"""How many workers may join while keys tell the moments apart: more than there will ever be."""


class Idle:
    """The idle workers of a profile by their keys. ``top`` is the least key, None when nobody is idle.

    Whoever comes is behind all but some of those that came in the same moment, and whoever goes is mostly the first, so
    that a row is all it takes: to leave it in the middle, as workers do that are lost, moves up to half of it, which takes a few
    microseconds where ten thousand are idle.
    """

    __slots__ = ("_latest", "_row", "top")

    def __init__(self) -> None:
        self._row: deque[WorkerRecord] = deque()
        self._latest: IdleKey = -1  # the greatest key so far
        self.top: IdleKey | None = None

    def __iter__(self) -> Iterator[WorkerRecord]:
        """The workers in order."""
        return iter(self._row)

    def first(self) -> WorkerRecord:
        """The one that is idle for the longest time. There must be one."""
        return self._row[0]

    def add(self, key: IdleKey, worker: WorkerRecord) -> None:
        """A worker is idle from now on."""
        worker.idle_key = key
        if key > self._latest:
            self._latest = key
            self._row.append(worker)
        else:
            self._row.insert(bisect(self._row, key, key=_key), worker)
        if self.top is None or key < self.top:
            self.top = key

    def pop(self) -> None:
        """The first, of whom there must be one, is not idle any more."""
        row = self._row
        row.popleft().idle_key = None
        self.top = row[0].idle_key if row else None

    def remove(self, worker: WorkerRecord) -> None:
        """A worker, which must be among them, is not idle any more."""
        row = self._row
        del row[bisect(row, _key(worker), key=_key) - 1]
        worker.idle_key = None
        self.top = row[0].idle_key if row else None


def _key(worker: WorkerRecord) -> IdleKey:
    assert worker.idle_key is not None
    return worker.idle_key
