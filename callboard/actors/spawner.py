"""Our end of the zygote: the process from which local workers are forked (see `zygote`)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable
from types import FunctionType

from callboard.actors.note import Notebook
from callboard.actors.worker import ProcessWorker

_PROGRAM = (
    "import sys; sys.path[:] = {path!r}; from callboard.actors.zygote import main; main({channel}, {notebook}, {parent}, {preload!r})"
)


class Zygote:
    """Our end of the zygote process. Made first thing on entering the block, since its imports take longest."""

    def __init__(self, preload: tuple[str, ...] = ()) -> None:
        self.notebook = Notebook()
        self._preload = preload
        self._over = False
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self.channel, theirs = socket.socketpair()
        program = _PROGRAM.format(
            path=import_path(), channel=theirs.fileno(), notebook=self.notebook.fd, parent=os.getpid(), preload=self._preload
        )
        # Ctrl-C goes to the whole process group; a child caught importing would print a traceback. Blocked during the
        # start it is inherited as blocked, then ignored by nobody: workers decide for themselves.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program],
                pass_fds=(theirs.fileno(), self.notebook.fd),
                stdin=subprocess.DEVNULL,
                cwd=None if folder() is not None else "/",  # Python 3.13 cannot import in a folder that was removed
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()

    def revive(self) -> bool:
        """Start another process where the one before has died, its workers with it; False when `kill` was called. By who
        listens to the channel, which is another one from here on."""
        with self._lock:
            if self._over:
                return False
            self.process.kill()
            self.process.wait()
            self.channel.close()
            self._begin()
            return True

    def kill(self) -> None:
        """End the zygote, and with it every worker that is left; may be called from any thread."""
        with self._lock:
            self._over = True
            try:
                self.channel.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended already

    def close(self) -> None:
        """Wait until all are gone, and let go what was theirs. After `kill`, when nobody listens to the channel."""
        try:
            self.process.wait(2.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.channel.close()
        self.notebook.close()


def folder() -> str | None:
    """The working directory, None where it was removed: a worker can do without."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def import_path() -> list[str]:
    """Where this process finds modules, for others."""
    here = folder()
    return [entry or here for entry in sys.path if entry or here]  # type: ignore[misc]


def preload(workers: Iterable[ProcessWorker]) -> tuple[str, ...]:
    """Modules of ours that the modules of these workers import, as a script's does that has its playground beside them: they
    take a tenth of a second, which every process would need for itself, those too that replace one that died."""
    found = {"callboard.flows.task"}
    for module in {type(worker).__module__ for worker in workers} - {"__main__"}:  # whose classes are carried instead
        for value in vars(sys.modules[module]).values() if module in sys.modules else ():
            if isinstance(value, type | FunctionType) and value.__module__.startswith("callboard."):
                found.add(value.__module__)
    return tuple(sorted(found))
