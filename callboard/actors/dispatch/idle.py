"""Workers that have a slot free, the longest idle first."""

from __future__ import annotations

from bisect import bisect
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callboard.actors.dispatch.roster import WorkerRecord

IdleKey = int
"""Sorts idle workers: by the moment since when they are, and then by when they joined."""
MOMENT = 1 << 42
"""How many workers may join while keys tell the moments apart: more than there will ever be."""


class Idle:
    """The idle workers of a profile by their keys. ``top`` is the least key, None when nobody is idle.

    Whoever comes is behind all but some of those that came in the same moment, and whoever goes is mostly the first, so
    that two rows are all it takes.
    """

    __slots__ = ("_keys", "_workers", "top")

    def __init__(self) -> None:
        self._keys: deque[IdleKey] = deque()
        self._workers: deque[WorkerRecord] = deque()
        self.top: IdleKey | None = None

    def __iter__(self) -> Iterator[WorkerRecord]:
        """The workers in order."""
        return iter(self._workers)

    def first(self) -> WorkerRecord:
        """The one that is idle for the longest time. There must be one."""
        return self._workers[0]

    def add(self, key: IdleKey, worker: WorkerRecord) -> None:
        """A worker is idle from now on."""
        worker.idle_key = key
        keys = self._keys
        if keys and key < keys[-1]:
            place = bisect(keys, key)
            keys.insert(place, key)
            self._workers.insert(place, worker)
            self.top = keys[0]
        else:
            keys.append(key)
            self._workers.append(worker)
            if self.top is None:
                self.top = key

    def pop(self) -> None:
        """The first, of whom there must be one, is not idle any more."""
        self._workers.popleft().idle_key = None
        keys = self._keys
        keys.popleft()
        self.top = keys[0] if keys else None

    def remove(self, worker: WorkerRecord) -> None:
        """A worker, which must be among them, is not idle any more."""
        keys, key = self._keys, worker.idle_key
        assert key is not None
        worker.idle_key = None
        place = bisect(keys, key) - 1
        del keys[place]
        del self._workers[place]
        self.top = keys[0] if keys else None
