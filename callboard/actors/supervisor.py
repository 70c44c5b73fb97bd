"""The actor that starts local workers, hears of their deaths at once, and starts them again within a budget."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from callboard.actors.actor import SocketActor, logger
from callboard.actors.mailbox import Mail
from callboard.actors.processor import check_ready
from callboard.actors.restart import RestartBudget
from callboard.actors.spawner import Zygote, folder, import_path
from callboard.actors.worker import ProcessWorker
from callboard.actors.zygote import FrameReader, write_frame
from callboard.messages.errors import CannotPickle, WorkerStartFailed
from callboard.messages.payload import dumps_small

START_PATIENCE = 60.0
"""Seconds within which a local worker must have joined."""
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
        self.started = 0.0
        self.budget = RestartBudget()
        self.token = ""
        self.page = -1
        self.pid: int | None = None
        self.joined: Future[None] = Future()
        self.settled = False  # its present process has joined
        self.killed: str | None = None  # why we ended it ourselves

    @property
    def awaited(self) -> bool:
        """Whether it was started again and has not joined yet. (For who joins the first time the block waits.)"""
        return self.joined.done() and not self.settled and self.killed is None and self.pid is not None


class Death:
    """Told to the manager: a local worker's process has ended.

    ``running``: ids (beginnings) of what it ran; None: it crashed between two tasks, by the doing of one of those
    that it had. ``ordered``: by order of the manager, which knows for whose sake.
    """

    def __init__(self, token: str, reason: str, running: list[bytes] | None, code: int, ordered: bool) -> None:
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
        self._budget = RestartBudget()  # of the zygote itself
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
        """When the next restart is due, or has taken too long."""
        slow = [seat.started + START_PATIENCE for seat in self._by_token.values() if seat.awaited]
        return min([when for when, _ in self._due] + slow, default=None)

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
        for seat in list(self._by_token.values()):
            if seat.awaited and now >= seat.started + START_PATIENCE:
                self.kill(seat.token, f"had not joined again within {START_PATIENCE:g} s")

    # -- orders, posted as callables ------------------------------------------------------------

    def start_seat(self, seat: Seat) -> None:
        """Start the worker's process."""
        if self._stopping or self._gone:
            return
        seat.starts += 1
        seat.started = time.monotonic()
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
            "path": import_path(),
            "environ": dict(os.environ),
            "cwd": folder(),
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
        elif "failed" in news:
            seat = self._by_token.get(news["token"])
            if seat is not None:
                self._died(seat, 1, f"could not be started: {news['failed']}")
        else:
            seat = self._by_pid.pop(news["pid"], None)
            if seat is not None:
                self._died(seat, news["ended"])

    def _died(self, seat: Seat, code: int, why: str | None = None) -> None:
        notebook = self._zygote.notebook
        error = notebook.error(seat.page)
        running: list[bytes] | None = [] if error else notebook.running(seat.page)
        begun = notebook.begun(seat.page)
        if begun and not running and seat.killed is None and _crashed(code):
            running = None
        notebook.give_back(seat.page)
        del self._by_token[seat.token]
        self._look_empty()
        seat.pid = None
        reason = seat.killed or why or _reason(code)
        self._tell(Death(seat.token, reason, running, code, seat.killed is not None))
        if not seat.joined.done():
            text = error or f"its process {reason} before it had joined"
            seat.joined.set_exception(WorkerStartFailed(f"worker {seat.name!r} could not start: {text}"))
            self._tell(Expected(seat, gone=True))
            return
        if self._stopping:
            return
        # A worker that ended in order (a task was stopped by force) is no reason for caution, nor is one that has begun
        # something: what kills it is charged to that, and each task may do so a few times only.
        in_order = seat.settled and (code == 0 or seat.killed is not None)
        delay = 0.0 if in_order or begun else seat.budget.died(time.monotonic())
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
        self.mailbox.unwatch(self._zygote.channel.fileno())
        affordable = not self._stopping and self._budget.died(time.monotonic()) is not None
        self._gone = not (affordable and self._zygote.revive())
        if not self._gone:
            logger.warning("the process that starts local workers has ended, and they with it; all are started again")
            self._reader = FrameReader(self._zygote.channel)
            self.mailbox.watch(self._zygote.channel.fileno())
        elif not self._stopping:
            logger.error("the process that starts local workers has ended; those that die are not started again")
        self._by_pid.clear()
        for seat in list(self._by_token.values()):
            self._died(seat, -int(signal.SIGKILL))


def _crashed(code: int) -> bool:
    """Whether a process ended by its own doing: neither in order nor by the hand of another."""
    return code not in (0, -int(signal.SIGKILL), -int(signal.SIGTERM))


def _reason(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
