"""Children of a parallel executor end with who began them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

SCRIPT = """
import os, pathlib, sys, time
from callboard import ParallelExecutor, Task

class Endless(Task):
    def execute(self):
        pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
        while True:
            time.sleep(0.05)

ParallelExecutor(max_workers=1, processes=True).execute(Endless("endless"))
"""


def test_a_child_in_the_midst_of_a_task_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    script = SCRIPT.replace("sys.argv[1]", repr(str(told)))
    parent = subprocess.Popen([sys.executable, "-c", script])
    try:
        child = psutil.Process(int(_awaited(told)))
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    gone, alive = psutil.wait_procs([child], timeout=10)
    assert gone == [child] and not alive


def _awaited(path: Path) -> str:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.02)
    raise AssertionError("the child did not begin")
