"""Workers and tasks that several test modules put on stage."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from callboard import ProcessRequest, ProcessWorker, TaskHandle, TaskResult


class Tally:
    """A file in which workers note each execution, so that a test can say that each task was executed exactly once."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        path.touch()

    def lines(self) -> list[str]:
        """What was noted, in order."""
        return Path(self.path).read_text().splitlines()

    def counts(self) -> Counter[str]:
        """How often each text was noted."""
        return Counter(self.lines())

    def once(self, tasks: Iterable[TaskHandle | TaskResult]) -> None:
        """Fail unless each of these tasks was executed exactly once."""
        counts = self.counts()
        times = {task.name: counts[task.task_id] for task in tasks}
        assert times == dict.fromkeys(times, 1)


def note(path: str, text: str) -> None:
    """Add a line to a tally, in one write."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{text}\n".encode())
    os.close(descriptor)


class Noting(ProcessWorker):
    """Notes each execution, then does what its task asks for."""

    def __init__(
        self,
        name: str,
        role: str = "worker",
        *,
        tally: Tally | None = None,
        skills: Mapping[str, int] | Iterable[str] | None = None,
        slots: int = 1,
    ) -> None:
        super().__init__(name, role, skills=skills, slots=slots)
        self.tally = None if tally is None else tally.path

    def process(self, request: ProcessRequest) -> Any:
        if self.tally is not None:
            note(self.tally, request.id)
        return self.work(request)

    def work(self, request: ProcessRequest) -> Any:
        """Do the task; the base hands its data back."""
        return request.data


class Sleeper(Noting):
    """Sleeps for as many seconds as the task says, and gives its own name."""

    def work(self, request: ProcessRequest) -> str:
        time.sleep(float(request.data))
        return self.name


class AsyncSleeper(Noting):
    """The same without keeping a thread."""

    async def work(self, request: ProcessRequest) -> str:
        await asyncio.sleep(float(request.data))
        return self.name


class Obedient(Noting):
    """Works until it is told to stop, or for thirty seconds; notes in a file that it has begun."""

    def work(self, request: ProcessRequest) -> str:
        note(request.input_data["begun"], request.id)
        until = time.monotonic() + 30.0
        while time.monotonic() < until:
            if request.cancelled:
                return "stopped when asked"
            time.sleep(0.005)
        return "never asked"


class Deaf(Noting):
    """Plain code that looks at nothing: once it has noted that it has begun, it runs until a file is there, or for so many seconds."""

    def work(self, request: ProcessRequest) -> str:
        note(request.input_data["begun"], f"{request.id} {os.getpid()}")
        if "until" in request.input_data:
            until(Path(request.input_data["until"]).exists, "the word to end")
        else:
            time.sleep(request.input_data.get("seconds", 30.0))
        return "done"


class Waiting(Noting):
    """Waits asynchronously for as long as the task says, once it has noted that it has begun."""

    async def work(self, request: ProcessRequest) -> str:
        note(request.input_data["begun"], request.id)
        await asyncio.sleep(request.input_data.get("seconds", 30.0))
        return "done"


def until(condition: Any, what: str, seconds: float = 20.0) -> None:
    """Wait for something that another process brings about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        time.sleep(0.005)


def begun(path: Path | str, count: int = 1) -> None:
    """Wait until as many tasks have noted that they began."""
    until(lambda: Path(path).exists() and len(Path(path).read_text().splitlines()) >= count, f"the beginning of {count} task(s)")
