"""What is due when."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from callboard.actors.dispatch.entry import Entry

Action = Callable[[Any, float], None]


class Timer:
    """One deadline. Without an action it is spent or was dropped."""

    __slots__ = ("action", "subject", "when")

    def __init__(self, when: float, action: Action, subject: Any) -> None:
        self.when = when
        self.action: Action | None = action
        self.subject = subject


class Agenda:
    """Deadlines in order. What is dropped costs nothing later: the heap is cleared of it before it makes up half."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = 0
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._heap) - self._dropped

    def at(self, when: float, action: Action, subject: Any) -> Timer:
        """Call ``action(subject, now)`` in the first `run` at or after ``when``."""
        timer = Timer(when, action, subject)
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, timer))
        return timer

    def drop(self, timer: Timer) -> None:
        """It is not wanted any more; a spent one is no error."""
        if timer.action is None:
            return
        timer.action = timer.subject = None
        self._dropped += 1
        if self._dropped > 100 and self._dropped * 2 > len(self._heap):
            self._heap = [row for row in self._heap if row[2].action is not None]
            heapq.heapify(self._heap)
            self._dropped = 0

    def arm(self, entry: Entry, when: float, action: Action) -> None:
        """Give a task its one deadline, in place of the one it has."""
        self.disarm(entry)
        entry.timer = self.at(when, action, entry)

    def disarm(self, entry: Entry) -> None:
        """Take a task's deadline from it."""
        if entry.timer is not None:
            self.drop(entry.timer)
            entry.timer = None

    def next(self) -> float | None:
        """When something is due next, None when nothing is."""
        heap = self._heap
        while heap and heap[0][2].action is None:
            heapq.heappop(heap)
            self._dropped -= 1
        return heap[0][0] if heap else None

    def run(self, now: float) -> None:
        """Do all that is due."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            timer = heapq.heappop(heap)[2]
            action = timer.action
            if action is None:
                self._dropped -= 1
                continue
            timer.action = None
            action(timer.subject, now)
            heap = self._heap
