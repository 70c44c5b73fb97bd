"""Workers that stand still, and tasks that wait for tasks."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from callboard import Playground
from callboard.messages.event import Event
from tests.faults.conftest import Start
from tests.faults.crew import Hand, await_lines, lines, order, outputs, pid_of

Figure = Callable[[str, object], None]


@pytest.mark.parametrize("where", [pytest.param("local", marks=pytest.mark.full), "remote"])
@pytest.mark.usefixtures("no_leaks")
def test_a_stopped_worker_is_lost_and_joins_again(where: str, tmp_path: Path, port: int, start: Start, figure: Figure) -> None:
    key, path = tmp_path / "key", tmp_path / "marks"
    crew = [Hand("ada"), Hand("bob")] if where == "local" else []
    with Playground(port=port, key_file=key).play(workers=crew) as stage:
        for name in ("ada", "bob")[len(crew) :]:
            start("worker", f"tcp://127.0.0.1:{port}", key, name)
        while len(stage.workers) < 2:
            time.sleep(0.01)
        lost, joined = threading.Event(), threading.Event()
        handle = stage.submit(order("mark", (str(path), 1.0)))
        (begun,) = await_lines(path, 1)
        pid = int(begun.split()[1])
        name = next(worker.name for worker in stage.workers if worker.pid == pid)
        stage.on("worker.lost", lambda event: lost.set(), where={"worker": name})
        stage.on("worker.joined", lambda event: joined.set(), where={"worker": name})
        os.kill(pid, signal.SIGSTOP)
        try:
            stopped = time.monotonic()
            await_lines(path, 2)
            assert lost.wait(5)
            figure(f"stopped {where} worker: assigned again (s)", time.monotonic() - stopped)
            result = handle.result(10)
            # The stopped attempt has perhaps ended by then, and says so: nobody counts it.
            time.sleep(0.2)
        finally:
            os.kill(pid, signal.SIGCONT)
        continued = time.monotonic()
        assert joined.wait(5)
        figure(f"stopped {where} worker: here again after SIGCONT (s)", time.monotonic() - continued)
        assert result.unwrap() == handle.task_id
        assert result.attempts == 2
        assert pid_of(stage, name) == pid
        while stage.workers and any(worker.load for worker in stage.workers):
            time.sleep(0.01)  # the late result of the attempt that was given up
        assert handle.result() is result
        assert set(outputs([stage.submit(order("pid", 0.3)) for _ in range(4)])) >= {pid}
    assert len(lines(path)) == 2


@pytest.mark.usefixtures("no_leaks")
def test_a_stopped_worker_that_had_nothing_to_do_is_lost_and_joins_again(figure: Figure) -> None:
    lost, joined = threading.Event(), threading.Event()
    with Playground().play(workers=[Hand("ada"), Hand("bob")]) as stage:
        stage.on("worker.lost", lambda event: lost.set(), where={"worker": "ada"})
        stage.on("worker.joined", lambda event: joined.set(), where={"worker": "ada"})
        pid = next(worker.pid for worker in stage.workers if worker.name == "ada")
        os.kill(pid, signal.SIGSTOP)
        try:
            stopped = time.monotonic()
            assert lost.wait(10)
            figure("stopped idle worker: lost (s)", time.monotonic() - stopped)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert joined.wait(10)
        assert pid_of(stage, "ada") == pid


@pytest.mark.usefixtures("no_leaks")
def test_a_worker_in_c_code_is_not_lost(full: bool, figure: Figure) -> None:
    seconds = 30 if full else 3
    seen: list[Event] = []
    with Playground().play(workers=[Hand("ada"), Hand("bob"), Hand("eve")]) as stage:
        stage.on("worker.lost", seen.append)
        hog = stage.submit(order("hog", seconds))
        busy = [stage.submit(order("spin", seconds + 0.5)) for _ in range(2)]
        result = hog.result(seconds * 4)
        assert result.unwrap() == 0
        assert result.attempts == 1
        assert result.duration >= seconds
        outputs(busy)
        figure("interpreter held by C code, not lost (s)", float(seconds))
    assert seen == []


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("slots", [1, 2])
def test_tasks_that_wait_for_tasks_end_with_all_slots_busy(slots: int) -> None:
    with Playground().play(workers=[Hand("ada", slots=slots), Hand("bob", slots=slots)]) as stage:
        assert outputs([stage.submit(order("ask", depth)) for depth in (6, 5, 4, 6, 5, 4, 6, 5)]) == [6, 5, 4, 6, 5, 4, 6, 5]


@pytest.mark.usefixtures("no_leaks")
def test_tasks_that_wait_for_tasks_end_when_their_workers_die() -> None:
    with Playground(max_worker_deaths=10).play(workers=[Hand("ada"), Hand("bob")]) as stage:
        handles = [stage.submit(order("ask", 5)) for _ in range(6)]
        killed: set[int] = set()
        for _ in range(4):
            time.sleep(0.01)
            for pid in [worker.pid for worker in stage.workers if worker.pid not in killed][:1]:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)  # whose death may not have been heard of yet
        assert outputs(handles) == [5] * 6
