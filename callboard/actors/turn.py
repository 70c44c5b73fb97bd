"""A mailbox whose actor may run long code in its own thread: another thread takes its turn when that takes too long.

Handing each task to a second thread and its result back costs two thread switches, more than a short task itself. So a
worker's actor runs tasks in its own thread, and lends its turn at the mailbox meanwhile. A standby thread, in the same
loop of the same actor, takes the turn only when it was lent for longer than `PATIENCE`; the first thread then becomes the
standby when it is done. There are as many as tasks that wait for other tasks, and one more. (The pattern is
Leader/Followers: Schmidt et al., Pattern-Oriented Software Architecture 2.)
"""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

from callboard.actors.mailbox import Mail, Mailbox

PATIENCE = 0.002
"""Seconds for which a turn is lent before the standby takes it."""
REST_AFTER = 25
"""Looks of the standby, one each `PATIENCE`, after which it rests until something is lent again."""


class TurnMailbox(Mailbox):
    """A mailbox at which the threads of one actor take turns. Whoever has the turn may touch the actor's state."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._holder: int | None = None
        self._lent_since: float | None = None
        self._waiting = 0
        self._resting = 0
        self._over = False
        self._closer: int | None = None
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()

    def get(self, until: float | None = None) -> Any:
        """The next envelope or mail for who has the turn; others wait here until they get it."""
        me = threading.get_ident()
        if self._holder == me or self._wait_for_turn(me) or self._closer == me:
            return super().get(until)
        return Mail([], [], [])

    def lend(self) -> None:
        """Let another thread take the turn if `reclaim` is long in coming. By the holder alone."""
        self._lent_since = time.monotonic()
        if 0 < self._waiting == self._resting:
            self._bell.put(None)

    @property
    def attended(self) -> bool:
        """Whether a thread stands by, to whom the turn could be lent. For the holder, who has not lent it yet."""
        return self._waiting > 0

    def reclaim(self) -> bool:
        """End the lending; False when the turn was taken, so that the actor's state must not be touched any more."""
        with self._lock:
            if self._holder != threading.get_ident():
                return False
            self._lent_since = None
            return True

    def release(self) -> None:
        """The actor has stopped, in whichever thread: let those that wait for a turn see it."""
        self._over = True
        for _ in range(self._waiting):
            self._bell.put(None)

    def close(self) -> None:
        """Close; what is left is for the calling thread, which answers it."""
        self._closer = threading.get_ident()
        super().close()

    def _wait_for_turn(self, me: int) -> bool:
        with self._lock:
            self._waiting += 1
        looks = 0
        try:
            while not self._over:
                with self._lock:
                    if self._holder is None or (self._lent_since is not None and time.monotonic() - self._lent_since >= PATIENCE):
                        self._holder, self._lent_since = me, None
                        return True
                looks = 0 if self._lent_since is not None else looks + 1
                if looks > REST_AFTER:
                    self._rest()
                    looks = 0
                else:
                    time.sleep(PATIENCE)
            return False
        finally:
            with self._lock:
                self._waiting -= 1

    def _rest(self) -> None:
        with self._lock:
            self._resting += 1
        if self._lent_since is None and not self._over:  # looked at again: it may have been lent just before
            self._bell.get()
        with self._lock:
            self._resting -= 1
