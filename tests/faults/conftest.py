"""Processes that end with the test, ports that are free, and a home of its own for connection files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from tests.port import free_port

ROOT = Path(__file__).parents[2]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(autouse=True, scope="session")
def collector() -> None:
    """pyzmq keeps one thread for buffers that are sent without a copy, from the first such on and for good: not our leak."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as one, context.socket(zmq.PULL) as other:
        one.bind("inproc://once")
        other.connect("inproc://once")
        one.send(bytes(1024 * 1024), copy=False)
        other.recv()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where connection files are."""
    folder = tmp_path / "home"
    monkeypatch.setenv("CALLBOARD_HOME", str(folder))
    return folder


@pytest.fixture
def port() -> int:
    """A port that is free, and so is the next one, for events."""
    return free_port()


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a program of `tests.faults.program` and waits until it is ready; ends it with the test."""
    running: list[subprocess.Popen[str]] = []

    def run(*arguments: object, prefix: tuple[str, ...] = (), environ: dict[str, str] | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.faults.program", *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        assert _first_line(process) == "READY", f"{arguments[0]} did not start"
        return process

    yield run
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.communicate()


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    found: list[str] = []
    stdout = process.stdout
    reader = threading.Thread(target=lambda: found.append(stdout.readline().strip()), daemon=True)
    reader.start()
    reader.join(20)
    return found[0] if found else ""
