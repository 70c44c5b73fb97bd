"""A terminal for tests: commands in processes of their own, which are gone after the test."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
PATIENCE = 20.0


class Command:
    """A running ``callboard ...``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.out: list[str] = []
        self.err: list[str] = []
        self._news: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._readers = [self._read(process.stdout, self.out), self._read(process.stderr, self.err)]

    def _read(self, stream: IO[str] | None, lines: list[str]) -> threading.Thread:
        assert stream is not None

        def run() -> None:
            with stream:
                for line in stream:
                    lines.append(line.rstrip("\n"))
                    self._news.put(lines[-1])
            self._news.put(None)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_for(self, text: str) -> str:
        """The next line that has ``text`` in it, of either stream."""
        ended = 0
        while ended < 2:
            line = self._news.get(timeout=PATIENCE)
            if line is None:
                ended += 1
            elif text in line:
                return line
        raise AssertionError(f"it ended without saying {text!r}: {self.out} {self.err}")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit code, when all it said is here."""
        code = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return code

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code after a signal."""
        self.send(number)
        return self.wait()


class Terminal:
    """Starts commands, all with one folder for connection files."""

    def __init__(self, home: Path) -> None:
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "CALLBOARD_HOME": str(home), "COLUMNS": "120"}
        self.home = home
        self.started: list[Command] = []

    def start(self, *words: str, cwd: Path = HERE) -> Command:
        """``callboard WORDS``, without waiting for it."""
        process = subprocess.Popen(
            [sys.executable, "-m", "callboard", *words],
            cwd=cwd,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(Command(process))
        return self.started[-1]

    def run(self, *words: str) -> tuple[int, list[str], list[str]]:
        """``callboard WORDS`` to its end: exit code, lines of output and of errors."""
        command = self.start(*words)
        return command.wait(), command.out, command.err

    def manager(self, port: int, *words: str) -> Command:
        """A manager that listens."""
        command = self.start("manager", "--port", str(port), *words)
        command.wait_for("listens on")
        return command

    def worker(self, address: str, *words: str) -> Command:
        """A worker that has joined."""
        command = self.start("worker", address, *words)
        command.wait_for("joined")
        return command

    def close(self) -> None:
        for command in self.started:
            if command.process.poll() is None:
                command.process.kill()
            command.wait()


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A terminal whose connection files this process finds as well."""
    home = tmp_path / "home"
    monkeypatch.setenv("CALLBOARD_HOME", str(home))
    made = Terminal(home)
    yield made
    made.close()


@pytest.fixture
def address(free_port: Callable[[], int], terminal: Terminal) -> str:
    """Where a manager listens, which the test may leave to itself."""
    port = free_port()
    terminal.manager(port)
    return f"tcp://127.0.0.1:{port}"
