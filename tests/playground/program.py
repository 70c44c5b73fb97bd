"""Runs a script as a person would, in a session of its own, and looks at what it leaves behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.playground.conftest import ROOT


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    code: int
    out: str
    err: str
    seconds: float


class Program:
    """A running script. ``folder`` gets its temporary files and connection files, so that what is left can be seen."""

    def __init__(self, script: str, folder: Path, *arguments: str, by: str = "file") -> None:
        # The folder of a test may have so long a name that sockets would be made elsewhere.
        self.temporary, self.home = Path(tempfile.mkdtemp(prefix="callboard-test-")), folder / "home"
        self.home.mkdir(exist_ok=True)
        environment = {**os.environ, "TMPDIR": str(self.temporary), "CALLBOARD_HOME": str(self.home), "PYTHONPATH": str(ROOT)}
        if by == "file":
            path = folder / "script.py"
            path.write_text(script)
            command = [sys.executable, str(path), *arguments]
        elif by == "-c":
            command = [sys.executable, "-c", script, *arguments]
        else:
            command = [sys.executable, "-", *arguments]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=folder,
            start_new_session=True,  # a group of its own, which gets Ctrl-C as a whole
        )
        assert self.process.stdin is not None
        if by == "stdin":
            self.process.stdin.write(script)
        self.process.stdin.close()
        self.process.stdin = None

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self, seconds: float = 30.0) -> Ended:
        """Wait for its end; fail when a process or a file is left behind."""
        begun = time.monotonic()
        out, err = self.process.communicate(timeout=seconds)
        took = time.monotonic() - begun
        left = self.others(1.0)
        assert not left, f"left behind: {left}; stderr: {err}"
        files = [str(path) for folder in (self.temporary, self.home) for path in folder.rglob("*") if not path.is_dir()]
        assert not files, f"left behind: {files}"
        assert list(self.temporary.iterdir()) == [], "folders left behind"
        return Ended(self.process.returncode, out, err, took)

    def others(self, seconds: float) -> list[str]:
        """The processes of its session that are still there after so long."""
        until = time.monotonic() + seconds
        while True:
            found = [each for each in psutil.pids() if each != self.process.pid and _session(each) == self.process.pid]
            if not found or time.monotonic() > until:
                return [f"{each}: {_command(each)}" for each in found]
            time.sleep(0.01)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        shutil.rmtree(self.temporary)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _command(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return f"{process.status()} {' '.join(process.cmdline())[:200]}"
    except psutil.NoSuchProcess:
        return "gone"
