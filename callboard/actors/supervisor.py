"""The actor that starts local workers, hears of their deaths at once, and starts them again within a budget."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from callboard.actors.actor import SocketActor, logger
from callboard.actors.mailbox import Mail
from callboard.actors.note import Notebook
from callboard.actors.restart import RestartBudget
from callboard.actors.worker import ProcessWorker, check_ready
from callboard.actors.zygote import FrameReader, write_frame
from callboard.messages.errors import CannotPickle, WorkerStartFailed
from callboard.messages.payload import dumps_small

_PROGRAM = (
    "import sys; sys.path[:] = {path!r}; from callboard.actors.zygote import main; main({channel}, {notebook}, {parent}, {preload!r})"
)
_numbers = itertools.count(1)


class Seat:
    """One local worker's place, which outlives its processes."""

    def __init__(self, worker: ProcessWorker) -> None:
        check_ready(worker)
        try:
            self.blob = dumps_small(worker)
        except Exception as error:  # whatever the user's class raises when it is pickled
            raise CannotPickle(f"worker {worker.name!r} cannot be carried to its process: {type(error).__name__}: {error}") from error
        self.number = str(next(_numbers))
        self.name = worker.name
        self.role = worker.role
        self.skills = worker.skills
        self.starts = 0
        self.budget = RestartBudget()
        self.token = ""
        self.page = -1
        self.pid: int | None = None
        self.joined: Future[None] = Future()
        self.retiring = False
        self.settled = False  # its present process has joined
        self.killed: str | None = None  # why we ended it ourselves


class Death:
    """Told to the manager: a local worker's process has ended. ``running``: ids (beginnings) of what it ran. ``ordered``: by
    order of the manager, which knows for whose sake."""

    def __init__(self, token: str, reason: str, running: list[bytes], code: int, ordered: bool) -> None:
        self.token = token
        self.reason = reason
        self.running = running
        self.code = code
        self.ordered = ordered


class Expected:
    """Told to the manager: a worker of this role and these skills is there or being started, or was given up (``gone``)."""

    def __init__(self, seat: Seat, gone: bool = False) -> None:
        self.seat = seat.number
        self.name = seat.name
        self.role = seat.role
        self.skills = seat.skills
        self.gone = gone


class Zygote:
    """Our end of the zygote process. Made first thing on entering the block, since its imports take longest."""

    def __init__(self, preload: tuple[str, ...] = ()) -> None:
        self.notebook = Notebook()
        self.channel, theirs = socket.socketpair()
        path = [entry or os.getcwd() for entry in sys.path]
        program = _PROGRAM.format(path=path, channel=theirs.fileno(), notebook=self.notebook.fd, parent=os.getpid(), preload=preload)
        # Ctrl-C goes to the whole process group; a child caught importing would print a traceback. Blocked during the
        # start it is inherited as blocked, then ignored by nobody: workers decide for themselves.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program], pass_fds=(theirs.fileno(), self.notebook.fd), stdin=subprocess.DEVNULL
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()

    def kill(self) -> None:
        """End the zygote, and with it every worker that is left; may be called from any thread."""
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


class Supervisor(SocketActor):
    """Owns the zygote's channel. ``tell`` takes `Death` and `Expected`, in the supervisor's thread."""

    def __init__(self, zygote: Zygote, endpoint: str, tell: Callable[[Any], None]) -> None:
        super().__init__()
        self._zygote = zygote
        self._endpoint = endpoint
        self._tell = tell
        self._reader = FrameReader(zygote.channel)
        self._by_token: dict[str, Seat] = {}
        self._by_pid: dict[int, Seat] = {}
        self._due: list[tuple[float, Seat]] = []
        self._stopping = False
        self._gone = False
        self.empty = threading.Event()
        """Set when `retire` was asked for and no process is left."""

    def open(self) -> None:
        """Listen to the zygote."""
        self._zygote.channel.setblocking(True)
        self.mailbox.watch(self._zygote.channel.fileno())

    def close(self) -> None:
        """Listen no longer."""
        if not self._gone:
            self.mailbox.unwatch(self._zygote.channel.fileno())

    def next_deadline(self) -> float | None:
        """When the next restart is due."""
        return min((when for when, _ in self._due), default=None)

    def receive(self, mail: Mail) -> None:
        """Start, restart, and hear of deaths."""
        if mail.ready and not self._gone:
            news = self._reader.read()
            if news is None:
                self._lost_zygote()
            for item in news or ():
                self._hear(item)
        for item in mail.items:
            item(self)
        now = time.monotonic()
        for when, seat in [due for due in self._due if due[0] <= now]:
            self._due.remove((when, seat))
            self.start_seat(seat)

    # -- orders, posted as callables ------------------------------------------------------------

    def start_seat(self, seat: Seat) -> None:
        """Start the worker's process."""
        if self._stopping or self._gone:
            return
        seat.starts += 1
        seat.token = f"{seat.number}.{seat.starts}"
        seat.page = self._zygote.notebook.take()
        seat.killed = None
        seat.settled = False
        self._by_token[seat.token] = seat
        self._tell(Expected(seat))
        request = {
            "worker": seat.blob,
            "token": seat.token,
            "page": seat.page,
            "endpoint": self._endpoint,
            "path": [entry or os.getcwd() for entry in sys.path],
            "environ": dict(os.environ),
            "cwd": os.getcwd(),
            "argv": sys.argv,
        }
        self._ask(request)

    def joined(self, token: str) -> None:
        """The manager has taken the worker in."""
        seat = self._by_token.get(token)
        if seat is not None:
            seat.settled = True
            if not seat.joined.done():
                seat.joined.set_result(None)

    def kill(self, token: str, reason: str) -> None:
        """End a worker that does not answer."""
        seat = self._by_token.get(token)
        if seat is not None and seat.pid is not None:
            seat.killed = reason
            self._ask({"kill": seat.pid, "signal": int(signal.SIGKILL)})

    def retire(self) -> None:
        """Start nothing any more: whoever ends now has ended for good."""
        self._stopping = True
        self._due.clear()
        self._look_empty()

    def expect_the_end(self) -> None:
        """The same, at once and from any thread: that all end is no news to anybody."""
        self._stopping = True

    def _look_empty(self) -> None:
        if self._stopping and not self._by_token:
            self.empty.set()

    # -- inside ---------------------------------------------------------------------------------

    def _ask(self, request: dict[str, Any]) -> None:
        try:
            write_frame(self._zygote.channel, request)
        except OSError:
            self._lost_zygote()

    def _hear(self, news: dict[str, Any]) -> None:
        if "started" in news:
            seat = self._by_token.get(news["token"])
            if seat is not None:
                seat.pid = news["started"]
                self._by_pid[news["started"]] = seat
        else:
            seat = self._by_pid.pop(news["pid"], None)
            if seat is not None:
                self._died(seat, news["ended"])

    def _died(self, seat: Seat, code: int) -> None:
        notebook = self._zygote.notebook
        error = notebook.error(seat.page)
        running = [] if error else notebook.running(seat.page)
        notebook.give_back(seat.page)
        del self._by_token[seat.token]
        self._look_empty()
        seat.pid = None
        reason = seat.killed or _reason(code)
        self._tell(Death(seat.token, reason, running, code, seat.killed is not None))
        if not seat.joined.done():
            text = error or f"its process {reason} before it had joined"
            seat.joined.set_exception(WorkerStartFailed(f"worker {seat.name!r} could not start: {text}"))
            self._tell(Expected(seat, gone=True))
            return
        if self._stopping:
            return
        # A worker that ended in order (a task was stopped by force) is no reason for caution.
        in_order = seat.settled and (code == 0 or seat.killed is not None)
        delay = 0.0 if in_order else seat.budget.died(time.monotonic())
        if self._gone:
            self._tell(Expected(seat, gone=True))
        elif delay is None:
            logger.error("worker %r died too often (%s) and is not started again", seat.name, reason)
            self._tell(Expected(seat, gone=True))
        else:
            self._due.append((time.monotonic() + delay, seat))

    def _lost_zygote(self) -> None:
        if self._gone:
            return
        self._gone = True
        self.mailbox.unwatch(self._zygote.channel.fileno())
        if not self._stopping:
            logger.error("the process that starts local workers has ended; those that die are not started again")
        for seat in list(self._by_token.values()):
            self._died(seat, -int(signal.SIGKILL))


def _reason(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
