"""The threads of a worker that run the user's code, one a slot.

Attempts wait in one row: a slot takes from its head, a recall from its tail. Both ends of a deque are atomic, so that
each attempt is taken once and nothing needs a lock.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from callboard.actors.attempt import Attempt

Bell = queue.SimpleQueue[None]
Run = Callable[[Attempt, int], None]


class Crew:
    """Runs attempts in as many threads as there are slots, and more while some are parked."""

    def __init__(self, run: Run, slots: int) -> None:
        self._run = run
        self._slots = slots
        self._threads = 0
        self._row: deque[Attempt] = deque()
        self._idle: deque[Bell] = deque()
        self._lent = 0
        self._lock = threading.Lock()
        self._free_seats: list[int] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- the host's actor ---------------------------------------------------------------------

    def add(self, attempts: list[Attempt]) -> None:
        """Put attempts at the end of the row."""
        self._row.extend(attempts)
        for _ in range(len(attempts)):
            if not self._wake_one():
                break

    def _wake_one(self) -> bool:
        try:
            bell = self._idle.pop()
        except IndexError:
            return self._grow()
        bell.put(None)
        return True

    def _grow(self) -> bool:
        with self._lock:
            if self._threads >= self._slots + self._lent:
                return False
            seat = self._free_seats.pop() if self._free_seats else self._threads
            self._threads += 1
        threading.Thread(target=self._work, args=(seat,), name=f"callboard-slot-{seat}", daemon=True).start()
        return True

    def take_back(self, ids: set[str] | None) -> list[Attempt]:
        """Take what was not begun (of these) out of the row again."""
        kept: list[Attempt] = []
        taken: list[Attempt] = []
        while True:
            try:
                attempt = self._row.pop()
            except IndexError:
                break
            (taken if ids is None or attempt.task_id in ids else kept).append(attempt)
        self.add(kept[::-1])
        return taken[::-1]

    # -- slots ----------------------------------------------------------------------------------

    def _work(self, seat: int) -> None:
        bell: Bell = queue.SimpleQueue()
        while True:
            try:
                attempt = self._row.popleft()
            except IndexError:
                if not self._rest(bell, seat):
                    return
                continue
            self._run(attempt, seat)

    def _rest(self, bell: Bell, seat: int) -> bool:
        """Wait to be woken; False when there are more threads than slots now, so that this one should end."""
        with self._lock:
            if self._threads > self._slots + self._lent:
                self._threads -= 1
                self._free_seats.append(seat)
                return False
        self._idle.append(bell)
        if self._row:
            # Something came after we looked: whoever put it there has either seen us waiting or not.
            try:
                self._idle.remove(bell)
                return True
            except ValueError:
                pass
        bell.get()
        return True

    def lend(self) -> None:
        """A slot waits for other tasks: let another thread run what is in the row."""
        with self._lock:
            self._lent += 1
        if self._row:
            self._wake_one()

    def take_back_slot(self) -> None:
        """The slot goes on; the extra thread ends when it has nothing to do."""
        with self._lock:
            self._lent -= 1

    # -- async code -----------------------------------------------------------------------------

    def wait_for(self, coroutine: Coroutine[Any, Any, Any], attempt: Attempt) -> Any:
        """Run a coroutine in the worker's event loop and wait for it in this slot."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        attempt.future = future
        if attempt.halted:
            future.cancel()
        return future.result()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The one event loop of the worker, started when first needed."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="callboard-loop", daemon=True).start()
            return self._loop
