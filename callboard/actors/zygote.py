"""The process from which local workers are forked: it has imported everything, and has one thread.

Started once on entering the block by `Popen`, it makes a worker in milliseconds, needs no main guard in the user's
script and shares its pages with all of them. It takes requests over a socket pair, forks, reaps, and reports. When its
parent is gone it ends its children and itself, and removes the folder of sockets that a killed parent leaves behind.
"""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any

_LENGTH = struct.Struct("!I")
PR_SET_PDEATHSIG = 1
PARENT_PATIENCE = 1.0
"""Seconds after the channel has ended within which the parent is gone, or has removed its folder."""


def write_frame(channel: socket.socket, value: Any) -> None:
    """Send one value, with its length before it."""
    data = pickle.dumps(value)
    channel.sendall(_LENGTH.pack(len(data)) + data)


class FrameReader:
    """Puts the values together that `write_frame` sent."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._buffer = bytearray()

    def read(self) -> list[Any] | None:
        """What has arrived completely; None at the end of the channel."""
        try:
            data = self._channel.recv(1 << 20)
        except BlockingIOError:
            return []
        except OSError:
            return None  # closed with unread bytes at the other end
        if not data:
            return None
        self._buffer += data
        values = []
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if len(self._buffer) < _LENGTH.size + length:
                break
            values.append(pickle.loads(self._buffer[_LENGTH.size : _LENGTH.size + length]))
            del self._buffer[: _LENGTH.size + length]
        return values


def main(channel_fd: int, notebook: int, parent: int, preload: Sequence[str] = ()) -> None:
    """Serve until the parent is gone. ``preload`` are further modules that workers will want."""
    channel = socket.socket(fileno=channel_fd)
    # What is imported stays. The collector need not look for garbage in it, here or in the children, whose memory is this
    # process's own for as long as nobody touches it.
    gc.disable()
    for module in ("asyncio", "uuid", "callboard.messages.carrier", "callboard.actors.hosting", *preload):
        import_module(module)
    from callboard.actors.peer import Versions

    Versions.here()
    gc.freeze()
    wake_read, wake_write = os.pipe()
    for end in (wake_read, wake_write):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    zygote = _Zygote(channel, notebook, (wake_read, wake_write), parent)
    watched: list[Any] = [channel, wake_read]
    if hasattr(os, "pidfd_open"):
        try:
            watched.append(os.pidfd_open(parent))
        except OSError:
            pass  # gone already, which the channel will say, or not allowed here
    try:
        while zygote.step(select.select(watched, [], [], None if len(watched) > 2 else 0.5)[0]):
            if os.getppid() != parent:
                break
    finally:
        zygote.end()


class _Zygote:
    def __init__(self, channel: socket.socket, notebook: int, pipe: tuple[int, int], parent: int) -> None:
        self._channel = channel
        self._reader = FrameReader(channel)
        self._notebook = notebook
        self._pipe = pipe
        self._parent = parent
        self._endpoint: str | None = None
        self._children: set[int] = set()

    def step(self, readable: list[Any]) -> bool:
        if self._pipe[0] in readable:
            os.read(self._pipe[0], 4096)
            self._reap()
        if self._channel in readable:
            requests = self._reader.read()
            if requests is None:
                return False
            for request in requests:
                self._serve(request)
        return not any(fd not in (self._channel, self._pipe[0]) for fd in readable)

    def _serve(self, request: dict[str, Any]) -> None:
        if "kill" in request:
            if request["kill"] in self._children:
                os.kill(request["kill"], request["signal"])
            return
        self._endpoint = request["endpoint"]
        try:
            pid = os.fork()
        except OSError as error:  # no more processes or memory, perhaps for a moment only
            self._tell({"token": request["token"], "failed": str(error)})
            return
        if pid == 0:
            self._become(request)
        self._children.add(pid)
        self._tell({"token": request["token"], "started": pid})

    def _become(self, request: dict[str, Any]) -> None:
        code = 1
        try:
            gc.enable()
            _die_with_parent(os.getppid())
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # Ctrl-C is the parent's business. A handler that does nothing, unlike ignoring, is not inherited by
            # programs that tasks start.
            signal.signal(signal.SIGINT, lambda *_: None)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            self._channel.close()
            for end in self._pipe:
                os.close(end)
            sys.path[:] = request["path"]
            os.environ.clear()
            os.environ.update(request["environ"])
            if request["cwd"] is not None:
                os.chdir(request["cwd"])
            sys.argv[:] = request["argv"]
            from callboard.actors.hosting import run_child

            code = run_child(request["worker"], request["endpoint"], request["token"], self._notebook, request["page"])
        finally:
            # Without the parent's atexit handlers, and whatever was raised: this is not its stack.
            os._exit(code)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._children.discard(pid)
            self._tell({"pid": pid, "ended": os.waitstatus_to_exitcode(status)})

    def _tell(self, value: dict[str, Any]) -> None:
        try:
            write_frame(self._channel, value)
        except OSError:
            pass  # the parent is going; the next look at the channel says so

    def end(self) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        for pid in self._children:
            os.waitpid(pid, 0)
        if self._endpoint is not None:
            self._tidy(os.path.dirname(self._endpoint.removeprefix("ipc://")))
        os._exit(0)

    def _tidy(self, folder: str) -> None:
        # A parent that ends in order removes it soon; one that was killed has let go of the channel before it is gone.
        until = time.monotonic() + PARENT_PATIENCE
        while os.getppid() == self._parent and os.path.exists(folder) and time.monotonic() < until:
            time.sleep(0.002)
        if os.getppid() != self._parent:
            from shutil import rmtree

            rmtree(folder, ignore_errors=True)


def _die_with_parent(parent: int) -> None:
    # The kernel sends the signal when the *thread* that forked ends, which is safe here: there is only one.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
