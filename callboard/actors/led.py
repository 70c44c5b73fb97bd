"""The inbox of an actor whose work other threads may do in its place: see `lead`."""

from __future__ import annotations

import _thread
from typing import Any

from callboard.actors.mailbox import Mail, Mailbox

PATIENCE = 0.002
"""Seconds after which the actor's thread takes the turn that nobody has had meanwhile, or waits for who has had it for so long."""


class LedMailbox(Mailbox):
    """A mailbox whose turn another thread may have. Whoever has it may touch the actor's state; at first it is the actor's own thread."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = _thread.allocate_lock()
        """Held by who has the turn."""
        self.turn.acquire()
        self._bell = _thread.allocate_lock()  # released to ring it
        self._bell.acquire()
        self._own = True  # the actor's own thread has the turn
        self._led = 0  # how often others have led
        self.sought = False
        """A thread would have led, and the turn was not to be had."""

    # -- the actor's own thread -----------------------------------------------------------------

    def get(self, until: float | None = None) -> Any:
        """The next envelope or mail, when this thread has the turn."""
        if not self._own:
            self._wait_for_turn()
        return super().get(until)

    def step_aside(self) -> None:
        """Let others have the turn, until they want it no longer."""
        self.sought = False
        if self._own and not self._closed:
            self._own = False
            self._bell.acquire(False)  # rung in vain
            self.give_back()

    def _wait_for_turn(self) -> None:
        led = -1
        while led != self._led:
            led = self._led
            if self._bell.acquire(True, PATIENCE):
                break
        self.turn.acquire()
        self._own = True
        self._asleep = False

    # -- who leads ------------------------------------------------------------------------------

    def take_turn(self) -> bool:
        """Get the turn, if it can be had now."""
        if not self.turn.acquire(False):
            return False
        self._asleep = False
        return True

    def next_mail(self, until: float | None) -> Mail | None:
        """The next mail, an empty one at ``until`` on the monotonic clock; None when there is something for the actor's own thread."""
        found = super().get(until)
        if type(found) is Mail:
            return found
        self._envelopes.appendleft(found)
        return None

    def give_back(self) -> None:
        """Let others have the turn."""
        self.turn.release()
        self._asleep = True  # nobody is there to see what comes
        if not self.empty():
            self.ring()

    def has_led(self, more: bool) -> None:
        """A thread has led until its task had ended. If there is ``more`` to be done, the actor's own thread goes on at once."""
        self._led += 1
        if more:
            self.ring()

    def prod(self) -> None:
        """Have who waits for something to come look up."""
        self._wake.set()

    # -- both -----------------------------------------------------------------------------------

    def _rouse(self) -> None:
        if self.turn.locked():
            super()._rouse()
        else:
            self.ring()

    def ring(self) -> None:
        """Have the actor's own thread take the turn as soon as it can be had."""
        if self._bell.locked():
            try:
                self._bell.release()
            except RuntimeError:
                pass  # another thread has
