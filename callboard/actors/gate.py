"""The sockets of a manager: open to local children by the file system's rights, to others by their keys."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import zmq

from callboard.actors.actor import new_socket
from callboard.actors.authenticator import DOMAIN, Authenticator
from callboard.actors.authenticator import ENDPOINT as ZAP_ENDPOINT
from callboard.actors.authenticator import serve as answer_zap
from callboard.actors.keyring import Address, ServerKeys
from callboard.actors.mailbox import Mailbox
from callboard.actors.publisher import QUEUED
from callboard.messages.errors import CannotBind, CannotWrite

TASKS, EVENTS = "tasks", "events"
SHORT_FOLDER = "/tmp"

REBIND_PATIENCE = 2.0
"""Seconds that a port may take to be free again after its socket was closed."""


class Gate:
    """Opens, renews and closes the sockets. In the manager's thread, but for the endpoints, which are there from the first."""

    def __init__(self, address: Address | None, keys: ServerKeys | None, credentials: Callable[[str], bool] | None) -> None:
        self._address = address
        self._keys = keys
        self.authenticator = Authenticator({keys.peer.public} if keys is not None else set(), credentials)
        self.folder = _private_folder()
        self.local_endpoint = f"ipc://{self.folder}/{TASKS}"
        self.events_endpoint = f"ipc://{self.folder}/{EVENTS}"
        self.events_port: int | None = None
        self._sockets: list[zmq.Socket[bytes]] = []

    def open(self, mailbox: Mailbox) -> None:
        """Bind; raises `CannotBind`."""
        self._mailbox = mailbox
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        if self._keys is not None:
            # The handler must be there before the first CURVE bind.
            self.zap = self._socket(zmq.ROUTER)
            self.zap.bind(ZAP_ENDPOINT)
        self.router = self._socket(zmq.ROUTER)
        self.router.router_mandatory = 1
        self.router.router_handover = 1
        self.router.bind(self.local_endpoint)
        if self._address is not None:
            self._prove(self.router)
            try:
                self.router.bind(self._address.endpoint)
            except zmq.ZMQError as error:
                # Not ZeroMQ's own text, which names the address once more.
                text = (
                    f"cannot listen on {self._address.endpoint}: {os.strerror(error.errno or 0)}; choose another port, or end who uses it"
                )
                raise CannotBind(error.errno, text) from None
        self._open_events()

    def _open_events(self) -> None:
        self.xpub = self._socket(zmq.XPUB)
        self.xpub.sndhwm = QUEUED
        self.xpub.bind(self.events_endpoint)
        if self._address is None:
            return
        self._prove(self.xpub)
        host = self._address.host
        if self.events_port is not None:
            self._bind_again(f"tcp://{host}:{self.events_port}")
            return
        try:
            self.xpub.bind(f"tcp://{host}:{self._address.port + 1}")
            self.events_port = self._address.port + 1
        except zmq.ZMQError:
            self.events_port = self.xpub.bind_to_random_port(f"tcp://{host}")

    def _bind_again(self, endpoint: str) -> None:
        until = time.monotonic() + REBIND_PATIENCE
        while True:
            try:
                self.xpub.bind(endpoint)
                return
            except zmq.ZMQError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.005)

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        made = new_socket(self.context, kind)
        self._sockets.append(made)
        self._mailbox.watch(made)
        return made

    def _prove(self, socket: zmq.Socket[bytes]) -> None:
        # Options hold only for binds after they were set: what was bound before goes without keys.
        assert self._keys is not None
        socket.curve_server = 1
        socket.curve_publickey = self._keys.server.public.encode()
        socket.curve_secretkey = self._keys.server.secret.encode()
        socket.zap_domain = DOMAIN.encode()

    def answer(self, frames: list[zmq.Frame]) -> None:
        """Answer a question of ZeroMQ's about a key."""
        answer_zap(self.zap, self.authenticator, frames)

    def renew_events(self) -> zmq.Socket[bytes]:
        """Cut all subscribers off; those that still may come back by themselves. Returns the new socket."""
        self._close_socket(self.xpub)
        self._sockets.remove(self.xpub)
        self._open_events()
        return self.xpub

    def _close_socket(self, socket: zmq.Socket[bytes]) -> None:
        self._mailbox.unwatch(socket)
        socket.close()

    def close(self) -> None:
        """Close the sockets and remove their folder."""
        for socket in self._sockets:
            self._close_socket(socket)
        if hasattr(self, "context"):
            self.context.term()
        shutil.rmtree(self.folder, ignore_errors=True)


def _private_folder() -> Path:
    # The system takes only short names for sockets, and a TMPDIR may be any length.
    try:
        folder = Path(tempfile.mkdtemp(prefix="callboard-"))
    except OSError as error:
        raise CannotWrite(error.errno, f"there is no folder for sockets: {error.strerror}; set TMPDIR to one that can be written") from None
    if len(os.fsencode(folder / EVENTS)) <= zmq.IPC_PATH_MAX_LEN:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="callboard-", dir=SHORT_FOLDER))


def user_of(frames: list[zmq.Frame]) -> str | None:
    """The public key that the sender of a message has proved; None for who came by the file system."""
    try:
        return str(frames[0].get("User-Id"))
    except zmq.ZMQError:
        return None
