"""What others want of the thread that drives a run."""

from __future__ import annotations

import queue
from collections.abc import Callable

Thunk = Callable[[], None]

LONGEST = 86_400.0
"""The longest wait, in seconds, that the system is asked for at once; it refuses some that are centuries long."""


class Inbox:
    """Calls that any thread may hand in and one carries out, in the order of their coming. ``wake`` is told of each."""

    def __init__(self) -> None:
        self.wake: Thunk | None = None
        self._queue: queue.SimpleQueue[Thunk] = queue.SimpleQueue()

    def post(self, thunk: Thunk) -> None:
        """Hand in a call. From any thread."""
        self._queue.put(thunk)
        if self.wake is not None:
            self.wake()

    def empty(self) -> bool:
        """Whether there is nothing to be carried out."""
        return self._queue.empty()

    def drain(self) -> None:
        """Carry out all that is there."""
        while not self._queue.empty():
            self._queue.get_nowait()()

    def wait(self, seconds: float | None) -> None:
        """Carry out the next call, for which this waits so many seconds at most; None: for ever."""
        try:
            thunk = self._queue.get(timeout=seconds)
        except queue.Empty:
            return
        thunk()
