"""Workers for the tests of faults. What a task asks for stands in its ``data``."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from pathlib import Path
from typing import Any

from callboard import Playground, ProcessRequest, ProcessWorker, Task, TaskHandle
from callboard.actors.manager import TaskManager
from callboard.playground.board import Board


class Hand(ProcessWorker):
    """Does what it is told: ``data`` is (order, argument)."""

    def process(self, request: ProcessRequest) -> Any:
        order, argument = request.data
        return getattr(self, order)(request, argument)

    def echo(self, request: ProcessRequest, argument: Any) -> Any:
        """The argument."""
        return argument

    def pid(self, request: ProcessRequest, argument: float) -> int:
        """This process, after so many seconds."""
        time.sleep(argument)
        return os.getpid()

    def sleep(self, request: ProcessRequest, argument: float) -> float:
        """The argument, after so many seconds."""
        time.sleep(argument)
        return argument

    def hog(self, request: ProcessRequest, argument: int) -> int:
        """Hold the interpreter's lock for so many whole seconds, in C code."""
        return int(ctypes.PyDLL(None).sleep(argument))

    def spin(self, request: ProcessRequest, argument: float) -> float:
        """Use the processor for so many seconds."""
        until = time.monotonic() + argument
        while time.monotonic() < until:
            pass
        return argument

    def leave(self, request: ProcessRequest, argument: int) -> None:
        """End the process with an exit code, cleaning up nothing."""
        os._exit(argument)

    def signal(self, request: ProcessRequest, argument: int) -> None:
        """Send this process a signal, and wait for it."""
        os.kill(os.getpid(), argument)
        time.sleep(30)

    def once(self, request: ProcessRequest, argument: int) -> int:
        """Die of a signal in the first attempt only."""
        if request.attempt == 1:
            self.signal(request, argument)
        return request.attempt

    def exhaust(self, request: ProcessRequest, argument: Any) -> None:
        """Run out of memory as Python notices it."""
        raise MemoryError("no more")

    def mark(self, request: ProcessRequest, argument: tuple[str, float]) -> str:
        """Note in a file that an attempt has begun, and take so many seconds; the task's id."""
        path, seconds = argument
        note(path, f"{request.id} {os.getpid()}")
        time.sleep(seconds)
        return request.id

    def linger(self, request: ProcessRequest, argument: tuple[str, float]) -> str:
        """Likewise, but only the first beginning takes so long."""
        path, seconds = argument
        return self.mark(request, (path, 0.0 if any(line.startswith(request.id) for line in lines(path)) else seconds))

    def ask(self, request: ProcessRequest, argument: int) -> int:
        """Ask for a task of one less, and wait for it."""
        if argument == 0:
            return 0
        inner = request.submit(order("ask", argument - 1))
        return int(inner.result(30).unwrap()) + 1

    def large(self, request: ProcessRequest, argument: int) -> bytes:
        """So many bytes."""
        return bytes(argument)

    def fail(self, request: ProcessRequest, argument: str) -> None:
        """Raise it."""
        raise RuntimeError(argument)


class AsyncHand(ProcessWorker):
    """Sleeps in the loop."""

    async def process(self, request: ProcessRequest) -> float:
        await asyncio.sleep(float(request.data))
        return float(request.data)


def order(what: str, argument: Any = None, **declared: Any) -> Task:
    """A task for a `Hand`."""
    return Task(declared.pop("name", what), declared.pop("processor", "worker"), {"data": (what, argument)}, **declared)


def note(path: str | Path, text: str) -> None:
    """Add a line to a file that several processes write."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{text}\n".encode())
    finally:
        os.close(descriptor)


def lines(path: str | Path) -> list[str]:
    """The lines that were noted."""
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def await_lines(path: str | Path, count: int, patience: float = 20.0) -> list[str]:
    """Wait until so many were noted."""
    until = time.monotonic() + patience
    while len(found := lines(path)) < count:
        if time.monotonic() > until:
            raise AssertionError(f"{len(found)} of {count} lines in {path} after {patience} s")
        time.sleep(0.002)
    return found


def outputs(handles: list[TaskHandle], patience: float = 60.0) -> list[Any]:
    """What the tasks came to, each a success."""
    until = time.monotonic() + patience
    return [handle.result(max(0.1, until - time.monotonic())).unwrap() for handle in handles]


def pid_of(board: Board, name: str) -> int:
    """The process of the connected worker of this name."""
    return next(worker.pid for worker in board.workers if worker.name == name)


def manager_of(stage: Playground) -> TaskManager:
    """The manager's actor, to look at what it counts."""
    assert stage._session is not None
    assert stage._session.manager is not None
    return stage._session.manager
