"""The runs of async handlers, each in the event loop that registered it."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any


class Runs:
    """What is under way of the async handlers of one place. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way: Counter[asyncio.AbstractEventLoop] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()  # the loops themselves hold tasks weakly

    def start(self, loop: asyncio.AbstractEventLoop, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have the loop run it; raises `RuntimeError` when the loop is closed."""
        with self._changed:
            self._under_way[loop] += 1
        try:
            loop.call_soon_threadsafe(self._spawn, loop, run)
        except RuntimeError:
            self._ended(loop)
            raise

    def wait(self, patience: float) -> bool:
        """Wait until all have returned; False when they have not within ``patience`` seconds.

        Of those alone that can go on meanwhile: not of a loop that runs in this thread, or nowhere.
        """
        here = _loop_here()
        with self._changed:
            return self._changed.wait_for(
                lambda: not any(loop is not here and loop.is_running() for loop in self._under_way),
                patience,
            )

    def _spawn(self, loop: asyncio.AbstractEventLoop, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = loop.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._returned)

    def _returned(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._ended(task.get_loop())

    def _ended(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._changed:
            self._under_way[loop] -= 1
            if not self._under_way[loop]:
                del self._under_way[loop]
                self._changed.notify_all()


def _loop_here() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
