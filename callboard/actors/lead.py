"""A thread that waits for what an actor brings does the actor's work meanwhile.

To hand over a task and to be woken for its result are two switches between threads, each of which takes as long as all that
the manager does for the task. So whoever waits for a result takes the manager's turn, if its own thread has stepped aside,
which it does for those that did so before. Still there is one thread at a time that touches the actor's state, and the
sockets: the one that has the turn. (The pattern is Leader/Followers: Schmidt et al., Pattern-Oriented Software Architecture 2.)
"""

from __future__ import annotations

import _thread
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from callboard.actors.mailbox import Mail, Mailbox
from callboard.actors.shield import Shield
from callboard.messages.task import Submission

if TYPE_CHECKING:
    from callboard.actors.client import Client
    from callboard.actors.handle import TaskHandle
    from callboard.actors.manager import TaskManager

PATIENCE = 0.002
"""Seconds after which the actor's thread takes the turn that nobody has had meanwhile, or waits for who has had it for so long."""
HEADROOM = 300
"""Frames that must be left on the stack of a thread that leads."""


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
        if self._items or self._envelopes:
            self.ring()

    def led(self, more: bool) -> None:
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


class Lead:
    """Has the threads of this process that wait for tasks do the work of its manager, which has been started. Thread-safe."""

    def __init__(self, manager: TaskManager, client: Client) -> None:
        self._manager = manager
        self._client = client
        self._mailbox = manager.led
        self._own = manager.thread_id
        self._shield = Shield()
        self._main = threading.main_thread().ident  # where the handlers of signals run
        self._leader: int | None = None  # the last: who led before will wait again, and must not be kept from what it waits for

    def hand(self, submission: Submission) -> None:
        """Hand over a task. The only one of a thread that has led before is on its way to a worker then."""
        if self._leader != threading.get_ident() or self._client.open_count != 1 or not self._begin():
            self._manager.hand(submission)
            return
        try:
            self._mailbox.put(submission)
            self._manager.work(Mail(self._mailbox.drain(), [], []))  # what was posted before comes first
        finally:
            self._end()

    def wait(self, handle: TaskHandle, timeout: float | None) -> None:
        """Work until the task has ended, or ``timeout`` seconds have passed, or another thread is to go on, or there is nothing
        for this one to take over."""
        if not self._client.holds(handle):
            return  # of a group, which others end
        until = None if timeout is None else time.monotonic() + timeout
        if not self._begin():
            if self._client.open_count == 1 and self._able(threading.get_ident()):  # of several it would only be in the others' way
                self._mailbox.sought = True
            return
        try:
            while not (handle.done() or self._shield.struck or (until is not None and time.monotonic() >= until)):
                if not self._work(until):
                    break
        finally:
            self._leader = self._manager.thread_id
            self._mailbox.led(more=self._client.open_count > 0)
            self._end()

    def attend(self) -> None:
        """Somebody is to be told of a task's end who does not wait by `wait`: the manager's own thread must look out for it."""
        if not self._mailbox.turn.locked():
            self._mailbox.ring()

    def _work(self, until: float | None) -> bool:
        # By itself, so that nothing of the mail is let go of later: a KeyboardInterrupt in a frame's finaliser would be lost.
        mail = self._mailbox.next_mail(until)
        if mail is None:
            return False
        self._manager.work(mail)
        return True

    def _able(self, me: int) -> bool:
        return _has_headroom() and (me != self._main or self._shield.serves())

    def _begin(self) -> bool:
        # In this order: nothing may break in between the taking of the turn and its end.
        mailbox, me = self._mailbox, threading.get_ident()
        if mailbox.turn.locked() or not _has_headroom() or (me == self._main and not self._shield.up(mailbox.prod)):
            return False
        if mailbox.take_turn():
            self._manager.thread_id = me
            return True
        if me == self._main:
            self._shield.down()
        return False

    def _end(self) -> None:
        me, self._manager.thread_id = self._manager.thread_id, self._own
        self._mailbox.give_back()
        if me == self._main:
            self._shield.down()


def _has_headroom() -> bool:
    try:
        sys._getframe(sys.getrecursionlimit() - HEADROOM)
    except ValueError:
        return True
    return False
