"""Local workers that are hard to start, or to start again."""

from __future__ import annotations

import errno
import functools
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from callboard import NoCapableWorker, Playground, ProcessRequest, ProcessWorker, Task
from callboard.actors import supervisor
from callboard.actors.restart import RestartBudget
from callboard.actors.spawner import preload
from callboard.actors.zygote import FrameReader, _Zygote
from tests.faults.crew import Hand
from tests.playground.crew import until


def slow(path: Path) -> ProcessWorker:
    """A worker whose second process never gets through ``on_start``. Its class is carried: this module imports much."""

    class Slow(ProcessWorker):
        def on_start(self) -> None:
            with path.open("a") as file:
                file.write("s")
            if path.stat().st_size == 2:
                time.sleep(600)

        def process(self, request: ProcessRequest) -> int:
            return os.getpid()

    return Slow("slow")


@pytest.mark.usefixtures("no_leaks")
def test_a_worker_that_hangs_when_it_is_started_again_is_killed_and_started_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "START_PATIENCE", 2.0)
    path = tmp_path / "starts"
    with Playground().play(workers=[slow(path)]) as stage:
        os.kill(stage.workers[0].pid, signal.SIGKILL)
        assert stage.submit(Task("pid", "worker")).result(20).success
    assert path.read_text() == "sss"


@pytest.mark.usefixtures("no_leaks")
def test_a_script_may_stand_in_a_folder_that_was_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with Playground().play(workers=[slow(tmp_path / "starts")]) as stage:
        assert stage.submit(Task("pid", "worker")).result(20).output == stage.workers[0].pid


@pytest.mark.usefixtures("no_leaks")
def test_a_worker_that_dies_by_itself_time_and_again_is_given_up_and_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "RestartBudget", functools.partial(RestartBudget, limit=3))
    word = tmp_path / "word"
    lost: list[str] = []
    with Playground().play(workers=[doomed(word)]) as stage:
        stage.on("worker.lost", lambda event: lost.append(event.data["reason"]))
        assert stage.submit(Task("pid", "worker")).result(20).success
        word.touch()
        until(lambda: "it is not started again" in lost, "the end of its restarts")
        handle = stage.submit(Task("pid", "worker"))
    assert set(lost) == {"ended with exit code 7", "it is not started again"}
    assert "worker 'doomed' died too often (ended with exit code 7) and is not started again" in caplog.text
    failure = handle.result().failure
    assert failure is not None and failure.check(NoCapableWorker)


def doomed(word: Path) -> ProcessWorker:
    """A worker that a thread of its own ends, once a file is there, whether it does anything or not."""

    class Doomed(ProcessWorker):
        def on_start(self) -> None:
            threading.Thread(target=self.end, daemon=True).start()

        def end(self) -> None:
            while not word.exists():
                time.sleep(0.01)
            time.sleep(0.05)
            os._exit(7)

        def process(self, request: ProcessRequest) -> int:
            return os.getpid()

    return Doomed("doomed")


def test_what_the_modules_of_workers_import_of_ours_is_imported_before_the_fork(tmp_path: Path) -> None:
    assert "callboard.playground.playground" not in preload([ProcessWorker("plain")])
    assert {"callboard.flows.task", "callboard.playground.playground"} <= set(preload([Hand("ada"), slow(tmp_path)]))


def test_a_fork_that_fails_is_told_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more() -> int:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", no_more)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        _Zygote(theirs, -1, (-1, -1), os.getpid())._serve({"token": "1.1", "endpoint": "ipc://nowhere/tasks"})
        assert FrameReader(ours).read() == [{"token": "1.1", "failed": "[Errno 11] Resource temporarily unavailable"}]


@pytest.mark.usefixtures("no_leaks")
def test_a_worker_that_could_not_be_forked_is_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ask = supervisor.Supervisor._ask
    failed: list[Any] = []

    def fail_once(self: supervisor.Supervisor, request: dict[str, Any]) -> None:
        if failed:
            ask(self, request)
        else:
            failed.append(request)
            self._hear({"token": request["token"], "failed": "no more processes"})

    path = tmp_path / "starts"
    path.write_text("ss")
    with Playground().play(workers=[slow(path)]) as stage:
        monkeypatch.setattr(supervisor.Supervisor, "_ask", fail_once)
        os.kill(stage.workers[0].pid, signal.SIGKILL)
        assert stage.submit(Task("pid", "worker")).result(20).success
    assert len(failed) == 1
    assert path.read_text() == "ssss"
