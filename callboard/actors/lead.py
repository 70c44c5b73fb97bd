"""A thread that waits for what an actor brings does the actor's work meanwhile.

To hand over a task and to be woken for its result are two switches between threads, each of which takes as long as all that
the manager does for the task. So whoever waits for a result takes the manager's turn, if its own thread has stepped aside,
which it does for those that did so before. Still there is one thread at a time that touches the actor's state, and the
sockets: the one that has the turn. (The pattern is Leader/Followers: Schmidt et al., Pattern-Oriented Software Architecture 2.)
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

from callboard.actors.mailbox import Mail
from callboard.actors.shield import Shield
from callboard.messages.task import Submission

if TYPE_CHECKING:
    from callboard.actors.client import Client
    from callboard.actors.handle import TaskHandle
    from callboard.actors.manager import TaskManager

HEADROOM = 300
"""Frames that must be left on the stack of a thread that leads."""


class Lead:
    """Has the threads of this process that wait for tasks do the work of its manager, which has been started. Thread-safe."""

    def __init__(self, manager: TaskManager, client: Client) -> None:
        self._manager = manager
        self._client = client
        self._mailbox = manager.mailbox
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
            self._mailbox.post(submission)
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
            self._mailbox.has_led(more=self._client.open_count > 0)
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
