"""The base of whoever talks to a manager: one DEALER that says hello at every connection, and hears.

ZeroMQ reconnects by itself and tells nobody. The socket's monitor does: each finished handshake is a new beginning, so
the peer says `Hello` and both sides say again what the other may have missed.
"""

from __future__ import annotations

import functools
import logging
import platform
import secrets
import time
from concurrent.futures import Future
from importlib.metadata import version
from typing import Any, NamedTuple

import zmq
from zmq.utils.monitor import parse_monitor_message

from callboard.actors.actor import SocketActor, new_socket
from callboard.actors.frame import send_frames
from callboard.actors.greeting import Greeting
from callboard.actors.keyring import Credentials
from callboard.actors.mailbox import Mail
from callboard.messages.codec import Packed, decode, encode
from callboard.messages.errors import Refused, WireError
from callboard.messages.wire import AnyMessage, Hello, Refusal, Rejoin, Welcome

logger = logging.getLogger("callboard")

WATCHED = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_DISCONNECTED
)


class Endpoint(NamedTuple):
    """Where a manager is, and by which keys it will have us; local children need none."""

    address: str
    credentials: Credentials | None = None

    def prepare(self, socket: zmq.Socket[bytes]) -> None:
        """Set a socket's keys."""
        if self.credentials is not None:
            socket.curve_serverkey = self.credentials.server.encode()
            socket.curve_publickey = self.credentials.peer.public.encode()
            socket.curve_secretkey = self.credentials.peer.secret.encode()


class PeerActor(SocketActor):
    """Talks to one manager. Subclasses say who they are in `hello` and deal with the rest in `hear`."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.joined: Future[Welcome] = Future()
        """Done when the manager has taken us in for the first time; carries `Refused` when it will not."""
        self.identity = secrets.token_hex(16)
        self.epoch: str | None = None
        self.connected = False
        self.greeting = Greeting()

    def open(self) -> None:
        """Connect; the hello follows when the handshake has succeeded."""
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.dealer = new_socket(self.context, zmq.DEALER, prepare=self._prepare)
        self.monitor = self.dealer.get_monitor_socket(WATCHED)
        self.mailbox.watch(self.dealer)
        self.mailbox.watch(self.monitor)
        self.dealer.connect(self.endpoint.address)

    def _prepare(self, socket: zmq.Socket[bytes]) -> None:
        socket.identity = self.identity.encode()
        self.endpoint.prepare(socket)

    def close(self) -> None:
        """Disconnect; what was sent lingers for a moment. Who still waits to be taken in gets a CancelledError."""
        self.joined.cancel()
        if hasattr(self, "dealer"):
            self.dealer.disable_monitor()
            self.mailbox.unwatch(self.monitor)
            self.mailbox.unwatch(self.dealer)
            self.monitor.close(0)
            self.dealer.close()
        self.context.term()

    def receive(self, mail: Mail) -> None:
        """Sort what has come."""
        for socket, frames in mail.frames:
            if socket is self.monitor:
                self._monitored(parse_monitor_message([frame.bytes for frame in frames])["event"])
            else:
                self._heard(frames)
        if mail.items:
            self.take(mail.items)
        self.tick()

    def _monitored(self, event: int) -> None:
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self.connected = True
            self._greet()
        elif event == zmq.EVENT_DISCONNECTED:
            lost, self.connected = self.connected, False
            self.greeting.cut()
            if lost:
                self.lost()
        else:
            self._refused("the manager refused the keys of the connection file, or is none", final=event == zmq.EVENT_HANDSHAKE_FAILED_AUTH)

    def _refused(self, reason: str, final: bool = True) -> None:
        self.greeting.cut()
        if not self.joined.done():
            self.joined.set_exception(Refused(f"{self.endpoint.address}: {reason}"))
        else:
            logger.warning("%s: %s", self.endpoint.address, reason)
        if final:
            self.refused(f"the manager refuses this process: {reason}")

    def _heard(self, frames: list[zmq.Frame]) -> None:
        try:
            message, payloads = decode(frames)
        except WireError as error:
            logger.warning("the manager at %s sent what is no message: %s", self.endpoint.address, error)
            return
        if isinstance(message, Welcome):
            if self.greeting.welcomed(message.answers):
                self.epoch = message.epoch
                self.welcomed(message)
                if not self.joined.done():
                    self.joined.set_result(message)
        elif isinstance(message, Refusal):
            self._refused(message.reason)
        elif isinstance(message, Rejoin):
            self.greet()
        else:
            self.hear(message, payloads)

    def greet(self) -> None:
        """Say hello, unless the answer to an earlier one is still to come: asking for one again asks for the same."""
        if not self.greeting.under_way:
            self._greet()

    def _greet(self) -> None:
        self.greeting.said(time.monotonic())
        self.send(encode(self.hello()))

    def send(self, frames: list[Any]) -> None:
        """Send a message; the socket's queue is not bounded, credit and backlog bound what goes in."""
        send_frames(self.dealer, frames)

    # -- for subclasses ---------------------------------------------------------------------

    def hello(self) -> Hello:
        """Who we are and what we have."""
        raise NotImplementedError

    def welcomed(self, message: Welcome) -> None:
        """The manager has taken us in, perhaps again, be it the same or its successor: now is said what waited for that."""

    def lost(self) -> None:
        """The connection was cut; it is made again as soon as somebody listens there."""

    def refused(self, reason: str) -> None:
        """The manager will not have us."""

    def hear(self, message: AnyMessage, payloads: list[Packed]) -> None:
        """Deal with any other message."""

    def take(self, items: list[Any]) -> None:
        """Deal with what was posted."""

    def next_deadline(self) -> float | None:
        """When the hello is to be said again."""
        return self.greeting.due if self.greeting.under_way else None

    def tick(self) -> None:
        """Look at the timers."""
        if self.greeting.under_way and time.monotonic() >= self.greeting.due:
            self._greet()


class Versions(NamedTuple):
    """What both sides must agree on, for a `Hello`."""

    python: str
    cloudpickle: str

    @classmethod
    @functools.cache
    def here(cls) -> Versions:
        """Those of this process. Found out once: it takes milliseconds, which workers inherit from who forks them."""
        return cls(platform.python_version(), version("cloudpickle"))


def incompatible(hello: Hello, mine: Versions) -> tuple[str | None, str | None]:
    """Why a peer of these versions cannot be had, and what is worth a warning."""
    from callboard.messages.wire import PROTOCOL

    if hello.protocol != PROTOCOL:
        return f"it speaks protocol {hello.protocol}, the manager {PROTOCOL}: install the same callboard at both ends", None
    theirs, ours = hello.python.split(".")[:2], mine.python.split(".")[:2]
    if theirs != ours:
        text = f"it runs Python {hello.python}, the manager {mine.python}: carried code needs the same minor version"
        return text, None
    if hello.cloudpickle.split(".")[0] != mine.cloudpickle.split(".")[0]:
        return f"its cloudpickle is {hello.cloudpickle}, the manager's {mine.cloudpickle}: install the same major version", None
    if hello.cloudpickle != mine.cloudpickle:
        return None, f"its cloudpickle is {hello.cloudpickle}, the manager's {mine.cloudpickle}: carried code may not load"
    return None, None
