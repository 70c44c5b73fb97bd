"""Jobs in child processes: a thread for each child, which talks with it through pipes."""

from __future__ import annotations

import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from callboard.engines.job import Ending, Job
from callboard.engines.run import FlowRun
from callboard.engines.threads import ThreadCrew
from callboard.messages.errors import CannotPickle, TaskFailed, WorkerDied
from callboard.messages.failure import Failure
from callboard.messages.payload import dumps_small

LENGTH = struct.Struct("!Q")
_START = "import sys; sys.path[:] = {path!r}; from callboard.engines.child import main; main({read}, {write})"


class ProcessCrew(ThreadCrew):
    """Up to ``size`` children. One whose job is no longer waited for is killed."""

    def __init__(self, run: FlowRun, size: int) -> None:
        super().__init__(run, size)
        self._busy: dict[Job, Child] = {}
        self._lock = threading.Lock()

    def drop(self, job: Job) -> None:
        """Kill the child that runs a job."""
        super().drop(job)
        self._kill(job)

    def close(self, left: Iterable[Job]) -> None:
        """Kill the children whose jobs are left, and let the others end."""
        super().close(left)
        for job in left:
            self._kill(job)

    def work(self) -> None:
        """Hold a child, begun with the first job and again when it has died, until there are no more jobs."""
        child: Child | None = None
        try:
            while (job := self.queue.get()) is not None and not job.cancelled:
                if child is None or child.dead():
                    child = Child()
                ending = self._perform(child, job)
                if job.cancelled:
                    break
                self.run.done(job, ending)
        finally:
            if child is not None:
                child.close()

    def _perform(self, child: Child, job: Job) -> Ending:
        try:
            request = dumps_small((job.task, job.arguments, job.attempt, job.undo))
        except Exception as error:  # whatever the user's objects raise
            return Ending(None, CannotPickle(f"task {job.name!r} cannot be carried to a process: {type(error).__name__}: {error}"))
        with self._lock:
            self._busy[job] = child
        try:
            return child.perform(request, lambda topic, data: self.run.tell(job, topic, data))
        except (OSError, EOFError):
            return Ending(None, WorkerDied(f"the process that ran task {job.name!r} {child.ending()}"))
        finally:
            with self._lock:
                del self._busy[job]

    def _kill(self, job: Job) -> None:
        with self._lock:
            child = self._busy.get(job)
        if child is not None:
            child.kill()


class Child:
    """A process that carries out one job after the other."""

    def __init__(self) -> None:
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
            kind, first, second = pickle.loads(read_frame(self._read))
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
        code = self._process.wait()
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"

    def close(self) -> None:
        """Let it end, and wait for that."""
        for pipe in (self._write, self._read):
            try:
                pipe.close()
            except OSError:  # what was still to be written has nobody to read it
                pass
        self._process.wait()


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
