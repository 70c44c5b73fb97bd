"""A pykka inbox that waits on ZeroMQ sockets, plain descriptors and other threads at once.

Local messages and remote frames come in through one door, so that one thread at a time has the sockets and nothing needs a lock.
What has gathered since the last look comes out as one `Mail`; pykka's own envelopes (asks, proxies, stop) come out one
by one, as pykka wants them.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import zmq

from callboard.actors.frame import has_more, poll, receive_frames

DRAIN = 256
"""Messages taken from one socket at a look."""
SPIN_SECONDS = 0.0002
"""How long to look again and again before sleeping, while messages have been coming that quickly."""


class Mail(NamedTuple):
    """What has come: local items, (socket, frames) pairs, readable descriptors, or the error that prevented looking.

    For pykka's loop it is the envelope as well, to which nobody awaits a reply.
    """

    items: list[Any]
    frames: list[tuple[zmq.Socket[bytes], list[zmq.Frame]]]
    ready: list[int]
    error: Exception | None = None
    reply_to: None = None

    @property
    def message(self) -> Mail:
        """What is in the envelope."""
        return self


class Wake:
    """A descriptor that another thread can make readable: an eventfd, or a pair of sockets where there is none."""

    def __init__(self) -> None:
        self._pair: tuple[socket.socket, socket.socket] | None = None
        if hasattr(os, "eventfd"):
            self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        else:
            self._pair = socket.socketpair()
            for end in self._pair:
                end.setblocking(False)
            self.fd = self._pair[0].fileno()

    def set(self) -> None:
        """Make the descriptor readable."""
        try:
            if self._pair is None:
                os.eventfd_write(self.fd, 1)
            else:
                self._pair[1].send(b"!")
        except BlockingIOError:
            pass  # readable already

    def clear(self) -> None:
        """Make it unreadable again."""
        try:
            if self._pair is None:
                os.eventfd_read(self.fd)
            else:
                self._pair[0].recv(4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Close the descriptor."""
        if self._pair is None:
            os.close(self.fd)
        else:
            for end in self._pair:
                end.close()


class Mailbox:
    """The inbox of a `SocketActor`. `put` and `post` may be called from any thread, all else from the actor's."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._incoming: deque[Any] = deque()  # pykka's envelopes, as they come
        self._envelopes: deque[Any] = deque()  # and those whose turn it is: what was posted before them is dealt with
        self._wake = Wake()
        self._guard = threading.RLock()  # a finaliser may put something while its thread is in `put` already
        self._asleep = False
        self._closed = False
        self._poller = zmq.Poller()
        self._poller.register(self._wake.fd, zmq.POLLIN)
        self._sockets: dict[Any, zmq.Socket[bytes]] = {}
        self._spin = 0.0
        self._crowded = False  # something was there at once, so that there may be more of it
        self.deadline: Callable[[], float | None] = lambda: None
        """When to return an empty mail at the latest (on the monotonic clock), so that the actor can look at its timers."""

    # -- any thread -------------------------------------------------------------------------

    def put(self, envelope: Any) -> None:
        """Deliver one of pykka's envelopes; wakes the actor only if it sleeps."""
        self._incoming.append(envelope)
        if self._asleep:
            self._asleep = False
            self._rouse()

    def post(self, item: Any) -> int:
        """Deliver anything else, likewise. Returns how many of these wait now."""
        items = self._items
        items.append(item)
        if self._asleep:
            self._asleep = False
            self._rouse()
        return len(items)

    def _rouse(self) -> None:
        # The lock keeps the descriptor from being closed, and its number given away, under our hands.
        with self._guard:
            if not self._closed:
                self._wake.set()

    def empty(self) -> bool:
        """Whether nothing local waits."""
        return not (self._items or self._incoming or self._envelopes)

    def __len__(self) -> int:
        return len(self._items)

    # -- the actor's thread -----------------------------------------------------------------

    def watch(self, source: zmq.Socket[bytes] | int) -> None:
        """Wait for a socket's messages, or for a descriptor to become readable, too."""
        self._poller.register(source, zmq.POLLIN)
        if isinstance(source, zmq.Socket):
            self._sockets[source] = source

    def unwatch(self, source: zmq.Socket[bytes] | int) -> None:
        """Wait for it no longer."""
        if source in self._poller:
            self._poller.unregister(source)
        self._sockets.pop(source, None)

    def close(self) -> None:
        """Let the descriptor go; what is put from now on is only kept for pykka to answer."""
        with self._guard:
            if not self._closed:
                self._closed = True
                self._asleep = False
                self._wake.close()

    def get(self, until: float | None = None) -> Any:
        """The next envelope or `Mail`; at ``until`` on the monotonic clock, if not earlier, an empty one. Never raises: pykka's loop
        would die of it, with everybody waiting."""
        try:
            return self._get(until)
        except Exception as error:  # the actor's loop: the actor decides what to do about it
            return Mail([], [], [], error)

    def _get(self, until: float | None) -> Any:
        while True:
            if self._envelopes:
                return self._envelopes.popleft()
            if self._closed:
                self.drain()  # with what is no envelope nobody deals any more
                return self._envelopes.popleft() if self._envelopes else Mail([], [], [])
            readable = self._wait(until)
            frames: list[tuple[zmq.Socket[bytes], list[zmq.Frame]]] = []
            ready: list[int] = []
            for source, _ in readable:
                known = self._sockets.get(source)
                if known is not None:
                    self._receive(known, frames)
                elif source == self._wake.fd:
                    self._wake.clear()
                else:
                    ready.append(source)
            items = self.drain()
            if items or frames or ready or not (readable or self._envelopes):
                return Mail(items, frames, ready)

    def _wait(self, until: float | None) -> list[tuple[Any, int]]:
        """Wait for something to come; returns what is readable."""
        if self._items or self._incoming:
            self._crowded = True
            return poll(self._poller.sockets, 0)
        begun = time.monotonic()
        when = self.deadline()
        if until is not None and (when is None or until < when):
            when = until
        timeout = None if when is None else max(0.0, when - begun)
        if self._spin and (timeout is None or timeout > self._spin):
            found = self._look(begun + self._spin)
            if found is not None:
                return found
        self._asleep = True
        if self._items or self._incoming:
            self._asleep = False
            return []
        readable = poll(self._poller.sockets, -1 if timeout is None else math.ceil(timeout * 1000.0))
        self._asleep = self._crowded = False
        self._spin = SPIN_SECONDS if readable and time.monotonic() - begun < 4 * SPIN_SECONDS else 0.0
        return readable

    def _look(self, until: float) -> list[tuple[Any, int]] | None:
        sources = self._poller.sockets
        self._crowded = True
        while time.monotonic() < until:
            os.sched_yield()  # ZeroMQ's own thread may want this very processor to bring what is waited for
            readable = poll(sources, 0)
            if readable or self._items or self._incoming:
                return readable
            self._crowded = False
        return None

    def _receive(self, source: zmq.Socket[bytes], frames: list[tuple[zmq.Socket[bytes], list[zmq.Frame]]]) -> None:
        try:
            for _ in range(DRAIN):
                frames.append((source, receive_frames(source)))
                if not (self._crowded and has_more(source)):  # cheaper than to be refused the next
                    return
        except zmq.Again:
            return

    def drain(self) -> list[Any]:
        """All that was posted; it is the turn of the envelopes that had come by now after that."""
        incoming = self._incoming
        came = len(incoming)  # first: what the sender of one had posted before it is among the items then
        pop = self._items.popleft
        items = [pop() for _ in range(len(self._items))]
        for _ in range(came):
            self._envelopes.append(incoming.popleft())
        return items
