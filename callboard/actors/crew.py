"""The threads of a worker that run the user's code, one a slot.

Attempts wait in one row: a slot takes from its head, a recall from its tail. Both ends of a deque are atomic, so that
each attempt is taken once and nothing needs a lock.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from callboard.actors.attempt import Attempt

Bell = queue.SimpleQueue[int]
"""Wakes an idle slot's thread, and gives it its seat."""
Run = Callable[[Attempt, int], None]


class Crew:
    """Runs attempts, as many at once as there are slots, and more while some are parked."""

    def __init__(self, run: Run, slots: int) -> None:
        self._run = run
        self._slots = slots
        self._row: deque[Attempt] = deque()
        self._idle: list[Bell] = []
        self._active = 0
        self._seats = 0
        self._free_seats: list[int] = []  # the lowest first: a worker's page of notes has room for so many
        self._lent = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- the host's actor ---------------------------------------------------------------------

    def add(self, attempts: list[Attempt]) -> None:
        """Put attempts at the end of the row, and have idle slots look at it."""
        self._row.extend(attempts)
        for _ in range(len(attempts)):
            if not self._wake_one():
                break

    def run_here(self, seconds: float) -> bool:
        """Use the calling thread as a slot until the row is empty, or the time is up; whether there is more for it to do.

        Where no slot is free nothing is done: who has it goes on with the row.
        """
        seat = self._claim()
        if seat is None:
            return False
        self._empty_row(seat, time.monotonic() + seconds)
        with self._lock:
            self._active -= 1
            heapq.heappush(self._free_seats, seat)
        return bool(self._row)

    def put(self, attempts: list[Attempt]) -> None:
        """Put attempts at the end of the row, for who runs it already or is about to."""
        self._row.extend(attempts)

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

    def _claim(self) -> int | None:
        """Become active, if a slot is free; returns the seat under which to note what is run."""
        with self._lock:
            if self._active >= self._slots + self._lent:
                return None
            self._active += 1
            return self._seat()

    def _seat(self) -> int:
        if self._free_seats:
            return heapq.heappop(self._free_seats)
        self._seats += 1
        return self._seats - 1

    def _wake_one(self) -> bool:
        """Have one more thread look at the row, if a slot is free."""
        with self._lock:
            if self._active >= self._slots + self._lent:
                return False
            self._active += 1
            bell = self._idle.pop() if self._idle else None
            seat = self._seat()
        if bell is not None:
            bell.put(seat)
        else:
            threading.Thread(target=self._work, args=(seat,), name=f"callboard-slot-{seat}", daemon=True).start()
        return True

    def _work(self, seat: int) -> None:
        bell: Bell = queue.SimpleQueue()
        while True:
            self._empty_row(seat)
            with self._lock:
                self._active -= 1
                if self._row and self._active < self._slots + self._lent:
                    self._active += 1
                    continue
                heapq.heappush(self._free_seats, seat)
                self._idle.append(bell)
            seat = bell.get()

    def _empty_row(self, seat: int, until: float = math.inf) -> None:
        # More may be active than there are slots for a moment: when one goes on that had lent its own.
        while self._active <= self._slots + self._lent:
            try:
                attempt = self._row.popleft()
            except IndexError:
                return
            self._run(attempt, seat)
            if time.monotonic() >= until:
                return

    def lend(self) -> None:
        """A slot waits for other tasks: let another thread run what is in the row."""
        with self._lock:
            self._lent += 1
        if self._row:
            self._wake_one()

    def take_back_slot(self) -> None:
        """The slot goes on; whoever ran in its place stops at the end of its attempt."""
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

    def coroutines(self) -> set[asyncio.Task[Any]]:
        """What the event loop has under way."""
        return set() if self._loop is None else asyncio.all_tasks(self._loop)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The one event loop of the worker, started when first needed."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._run_loop, args=(self._loop,), name="callboard-loop", daemon=True).start()
            return self._loop

    def _run_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        # Whatever the user's code does to it: others have their coroutines there, too.
        while self._loop is loop:
            try:
                loop.run_forever()
            except (SystemExit, KeyboardInterrupt):
                continue  # asyncio lets these two out of the loop; whoever awaits the task has got them already
