"""Children of a parallel executor serve one job after the other, and end with who began them."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from callboard.engines import ParallelExecutor
from callboard.flows import LinearFlow, Task
from callboard.messages.errors import CannotPickle, WorkerDied

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


class Where(Task):
    def execute(self) -> int:
        print("here")
        return os.getpid()


class Die(Task):
    def execute(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Brittle:
    def __reduce__(self) -> Any:
        return _break, (os.getpid(),)


def _break(pid: int) -> Brittle:
    if pid != os.getpid():
        raise RuntimeError("only at home")
    return Brittle()


class GiveBrittle(Task):
    def execute(self) -> Brittle:
        return Brittle()


def test_a_child_serves_one_run_after_the_other() -> None:
    with ParallelExecutor(max_workers=1, processes=True) as executor:
        first = executor.execute(LinearFlow("two").add(Where("a", provides="a"), Where("b", provides="b"))).outputs
        again = executor.execute(Where("c")).unwrap()
    assert first["a"] == first["b"] == again != os.getpid()
    assert not psutil.pid_exists(again)


def test_what_a_child_prints_is_seen_when_its_task_has_ended(capfd: pytest.CaptureFixture[str]) -> None:
    with ParallelExecutor(max_workers=1, processes=True) as executor:
        executor.execute(Where("a")).unwrap()
        assert capfd.readouterr().out == "here\n"


def test_children_end_with_an_executor_that_nobody_closed() -> None:
    executor = ParallelExecutor(max_workers=1, processes=True)
    child = executor.execute(Where("a")).unwrap()
    assert psutil.pid_exists(child)
    del executor
    gc.collect()
    assert not psutil.pid_exists(child)


def test_a_child_that_died_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ParallelExecutor(max_workers=1, processes=True) as executor:
        assert isinstance(executor.execute(Die("die")).exceptions[0], WorkerDied)
        second = executor.execute(Where("a")).unwrap()
        os.kill(second, signal.SIGKILL)
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(second).wait(10)
        third = executor.execute(Where("a")).unwrap()
        monkeypatch.chdir(tmp_path)  # what it would import may be found elsewhere now
        fourth = executor.execute(Where("a")).unwrap()
    assert len({second, third, fourth}) == 3


def test_a_result_that_cannot_be_read_here_fails_its_task() -> None:
    with ParallelExecutor(max_workers=1, processes=True) as executor:
        result = executor.execute(GiveBrittle("brittle"))
        assert isinstance(result.exceptions[0], CannotPickle) and "only at home" in str(result.exceptions[0])
        assert executor.execute(Where("a")).success


class GiveLock(Task):
    def execute(self) -> object:
        return threading.Lock()


def test_a_result_that_cannot_be_carried_back_fails_its_task() -> None:
    with ParallelExecutor(max_workers=1, processes=True) as executor:
        result = executor.execute(GiveLock("lock"))
        assert isinstance(result.exceptions[0], CannotPickle) and "cannot be pickled: TypeError" in str(result.exceptions[0])


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
