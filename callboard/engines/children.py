"""Child processes that carry out one job after the other, and those of them that are at rest."""

from __future__ import annotations

import os
import pickle
import signal
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from callboard.engines.job import Ending
from callboard.messages.errors import CannotPickle, TaskFailed
from callboard.messages.failure import Failure

GRACE = 5.0
"""For how many seconds a child may take to end once its pipe is closed; then it is killed."""
LENGTH = struct.Struct("!Q")
_START = "import sys; sys.path[:] = {path!r}; from callboard.engines.child import main; main({read}, {write})"


class Children:
    """Children at rest, about ``limit`` at most; new ones are begun when they are wanted. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # No lock: taking from it and putting into it are single steps, and `close` may be called by the collector
        # in the midst of anything.
        self._idle: deque[Child] = deque()

    def take(self) -> Child:
        """One that rests, or a new one. Those that no longer find the code that this process finds are let go."""
        while True:
            try:
                child = self._idle.pop()
            except IndexError:
                return Child()
            if child.surroundings == _surroundings() and not child.dead():
                return child
            child.close()

    def give_back(self, child: Child) -> None:
        """Let one rest, or end where enough of them do."""
        if len(self._idle) < self._limit:
            self._idle.append(child)
        else:
            child.close()

    def close(self) -> None:
        """End those at rest, and wait for that."""
        ending = []
        while True:
            try:
                ending.append(self._idle.pop())
            except IndexError:
                break
            ending[-1].dismiss()
        for child in ending:
            child.close()


def _surroundings() -> tuple[object, ...]:
    """What of this process decides which code a child finds."""
    try:
        return (os.getcwd(), *sys.path)
    except FileNotFoundError:  # the working directory was removed
        return ("", *sys.path)


class Child:
    """A process that carries out one job after the other."""

    def __init__(self) -> None:
        self.surroundings = _surroundings()
        its_read, our_write = os.pipe()
        our_read, its_write = os.pipe()
        code = _START.format(path=sys.path, read=its_read, write=its_write)
        # The child's own standard input would be ours, and a Ctrl-C at the terminal is for us to act on.
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], pass_fds=(its_read, its_write), stdin=subprocess.DEVNULL, process_group=0
        )
        os.close(its_read)
        os.close(its_write)
        self._read = os.fdopen(our_read, "rb")
        self._write = os.fdopen(our_write, "wb")

    def perform(self, request: bytes, tell: Callable[[str, dict[str, Any]], None]) -> Ending:
        """Have a job carried out; what it says on the way goes to ``tell``. Raises OSError or EOFError where it dies."""
        self._write.write(LENGTH.pack(len(request)) + request)
        self._write.flush()
        while True:
            data = read_frame(self._read)
            try:
                kind, first, second = pickle.loads(data)
            except Exception as error:  # what the user's classes raise when they are rebuilt
                return Ending(None, CannotPickle(f"what the task gave cannot be read here: {type(error).__name__}: {error}"))
            if kind == "said":
                tell(first, second)
            elif kind == "returned":
                return Ending(first)
            else:
                failure = Failure.model_validate_json(first)
                return Ending(None, failure.exception() or TaskFailed(str(failure)), failure)

    def dead(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def ending(self) -> str:
        """How it ended, in words."""
        code = self._wait()
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"

    def dismiss(self) -> None:
        """Let it end when it is done."""
        for pipe in (self._write, self._read):
            try:
                pipe.close()
            except OSError:  # what was still to be written has nobody to read it
                pass

    def close(self) -> None:
        """Let it end, and wait for that."""
        self.dismiss()
        self._wait()

    def _wait(self) -> int:
        try:
            return self._process.wait(GRACE)
        except subprocess.TimeoutExpired:  # threads of the user's code keep it, or it does not hear us any more
            self.kill()
            return self._process.wait()


def read_frame(stream: Any) -> bytes:
    """The next frame; EOFError where the other side is gone."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    (length,) = LENGTH.unpack(head)
    data: bytes = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data
