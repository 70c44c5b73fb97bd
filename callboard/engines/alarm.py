"""Things to do after a while."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable


class Alarms:
    """Calls that are due at a time. Belongs to one thread. ``clock`` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call it in so many seconds."""
        heapq.heappush(self._heap, (self._clock() + seconds, next(self._count), call))

    def next(self) -> float | None:
        """Seconds until the next is due; None where there is none."""
        return self._heap[0][0] - self._clock() if self._heap else None

    def due(self) -> bool:
        """Whether one is due now."""
        return bool(self._heap) and self._heap[0][0] <= self._clock()

    def clear(self) -> None:
        """Call none of them any more."""
        self._heap.clear()

    def ring(self) -> None:
        """Call all that are due."""
        while self.due():
            heapq.heappop(self._heap)[2]()
