"""Virtual time: what is to happen, in order."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any


class Clock:
    """Seconds that pass when the next thing happens."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def after(self, delay: float, action: Callable[..., None], *arguments: Any) -> None:
        """Have something happen after so many seconds; what is due at once happens in the order of asking."""
        self._count += 1
        heapq.heappush(self._heap, (self.now + delay, self._count, action, arguments))

    def step(self) -> None:
        """Let the next thing happen."""
        self.now, _, action, arguments = heapq.heappop(self._heap)
        action(*arguments)
