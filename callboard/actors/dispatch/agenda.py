"""What is due when."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

Action = Callable[[Any, float], None]


class Agenda:
    """Deadlines in order. Nothing is taken back: an action looks whether it is still wanted."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Action, Any]] = []
        self._count = 0

    def at(self, when: float, action: Action, subject: Any) -> None:
        """Call ``action(subject, now)`` in the first tick at or after ``when``."""
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, action, subject))

    def next(self) -> float | None:
        """When something is due next, None when nothing is."""
        return self._heap[0][0] if self._heap else None

    def run(self, now: float) -> None:
        """Do all that is due."""
        while self._heap and self._heap[0][0] <= now:
            _, _, action, subject = heapq.heappop(self._heap)
            action(subject, now)
