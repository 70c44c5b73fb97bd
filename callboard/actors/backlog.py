"""How many tasks of one client may be open, and who waits for room."""

from __future__ import annotations

import threading
from collections.abc import Callable

DEFAULT_BACKLOG = 1_000_000


class Backlog:
    """Bounds how many tasks of one client are open; who would go over it waits here or is refused."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._condition = threading.Condition()
        self._waiting = 0

    def wait(self, count: Callable[[], int], closed: Callable[[], bool]) -> None:
        """Wait until fewer than ``limit`` are open, or all is closed."""
        with self._condition:
            self._waiting += 1
            try:
                # The timeout is a belt to the braces: who delivers looks at `_waiting` without the lock.
                while count() >= self.limit and not closed():
                    self._condition.wait(0.1)
            finally:
                self._waiting -= 1

    def freed(self) -> None:
        """Some have ended."""
        if self._waiting:
            with self._condition:
                self._condition.notify_all()
