"""The manager's process ends, and another one takes its place."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from callboard import connect
from callboard.actors.keyring import Address, connection_file
from callboard.messages.errors import PlaygroundClosed
from tests.faults.conftest import Start
from tests.faults.crew import await_lines, lines, order, outputs
from tests.playground.crew import until

Figure = Callable[[str, object], None]


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("ending", [signal.SIGKILL], ids=["SIGKILL"])
def test_clients_and_workers_go_on_with_the_next_manager(
    ending: signal.Signals, tmp_path: Path, port: int, start: Start, figure: Figure, caplog: pytest.LogCaptureFixture
) -> None:
    key, path, held = tmp_path / "key", tmp_path / "marks", tmp_path / "held"
    address = f"tcp://127.0.0.1:{port}"
    first = start("manager", port, key)
    for name in ("ada", "bob"):
        start("worker", address, key, name)
    with connect(address, key=key) as board:
        rule_fired = threading.Event()
        board.on("task.completed", lambda event: rule_fired.set(), where={"name": "echo"})
        done = [board.submit(order("echo", number)) for number in range(20)]
        assert outputs(done) == list(range(20))
        # Two that their workers still run, and end while there is no manager; the rest waits.
        running = [board.submit(order("mark", (str(held), 1.0))) for _ in range(2)]
        await_lines(held, 2)
        waiting = [board.submit(order("mark", (str(path), 0.01))) for _ in range(200)]
        assert waiting[-1].status is not None
        first.send_signal(ending)
        first.wait()
        during = [board.submit(order("mark", (str(path), 0.01))) for _ in range(20)]
        time.sleep(1.5)
        until(lambda: "cannot be reached" in caplog.text, "the word of it")
        assert f"the manager at {address} cannot be reached; what is open waits" in caplog.text
        rule_fired.clear()
        start("manager", port, key)
        back = time.monotonic()
        while len(board.workers) < 2:
            time.sleep(0.005)
        figure("manager started again: client and workers there after (s)", time.monotonic() - back)
        for handle in (*running, *waiting, *during):
            assert handle.result(20).unwrap() == handle.task_id
        # The results that workers held were taken, not made again.
        assert sorted(line.split()[0] for line in lines(held)) == sorted(handle.task_id for handle in running)
        begun = [line.split()[0] for line in lines(path)]
        assert set(begun) == {handle.task_id for handle in (*waiting, *during)}
        figure("manager started again: tasks begun twice, of 220", len(begun) - len(set(begun)))
        assert len(begun) == len(set(begun))
        end = time.monotonic() + 10
        while not rule_fired.is_set() and time.monotonic() < end:
            assert board.submit(order("echo", 1)).result(10).output == 1
        assert rule_fired.is_set()


@pytest.mark.usefixtures("no_leaks")
def test_a_manager_that_was_killed_and_is_started_again_has_the_same_keys(
    tmp_path: Path, home: Path, port: int, start: Start, figure: Figure
) -> None:
    marks = tmp_path / "marks"
    address = f"tcp://127.0.0.1:{port}"
    first = start("command", "manager", "--port", port)
    until(connection_file(Address("127.0.0.1", port)).exists, "the connection file")
    start("worker", address, "-", "ada")
    with connect(address) as board:
        running = board.submit(order("mark", (str(marks), 1.0)))
        await_lines(marks, 1)
        waiting = board.submit(order("echo", 1))
        first.kill()
        first.wait()
        second = start("command", "manager", "--port", port)
        started = time.monotonic()
        assert waiting.result(20).output == 1
        figure("`callboard manager` started again: the next result after (s)", time.monotonic() - started)
        assert running.result(10).unwrap() == running.task_id
        assert len(lines(marks)) == 1
    second.terminate()
    assert second.wait(20) == 0
    assert list(home.iterdir()) == []


@pytest.mark.usefixtures("no_leaks")
def test_a_rule_and_a_question_survive_the_restart(tmp_path: Path, port: int, start: Start) -> None:
    key, path = tmp_path / "key", tmp_path / "marks"
    address = f"tcp://127.0.0.1:{port}"
    first = start("manager", port, key)
    start("worker", address, key, "ada")
    with connect(address, key=key) as board:
        board.on("task.completed", start=order("mark", (str(path), 0.0)), where={"name": "echo"})
        assert board.submit(order("echo", 1)).result(10).success
        await_lines(path, 1)
        first.kill()
        first.wait()
        asked: list[int] = []
        asking = threading.Thread(target=lambda: asked.append(len(board.task_manager.overview()["queues"])))
        asking.start()
        time.sleep(0.3)
        assert asking.is_alive()
        start("manager", port, key)
        asking.join(10)
        assert asked == [0]
        assert board.submit(order("echo", 1)).result(10).success
        await_lines(path, 2)


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("no_leaks")
def test_a_manager_that_stands_still_for_a_while_loses_nothing(full: bool, tmp_path: Path, port: int, start: Start, figure: Figure) -> None:
    key, path = tmp_path / "key", tmp_path / "marks"
    address = f"tcp://127.0.0.1:{port}"
    manager = start("manager", port, key, "127.0.0.1", 1)
    start("worker", address, key, "ada")
    with connect(address, key=key) as board:
        handles = [board.submit(order("mark", (str(path), 0.05))) for _ in range(80)]
        await_lines(path, 10)
        manager.send_signal(signal.SIGSTOP)
        time.sleep(5.0 if full else 2.5)  # longer than it takes to be taken for gone, by all
        before = len(lines(path))
        assert before < 80
        manager.send_signal(signal.SIGCONT)
        continued = time.monotonic()
        await_lines(path, before + 1)
        figure("stopped manager: the next task begun after SIGCONT (s)", time.monotonic() - continued)
        assert outputs(handles) == [handle.task_id for handle in handles]
        until(lambda: len(board.workers) == 2, "the return of both workers")
    begun = Counter(line.split()[0] for line in lines(path))
    assert begun.keys() == {handle.task_id for handle in handles}
    figure("stopped manager: tasks begun twice, of 80", begun.total() - len(begun))


@pytest.mark.usefixtures("no_leaks")
def test_a_manager_that_ends_in_order_tells_its_clients(tmp_path: Path, port: int, start: Start) -> None:
    key = tmp_path / "key"
    address = f"tcp://127.0.0.1:{port}"
    manager = start("manager", port, key)
    worker = start("worker", address, key, "ada")
    with connect(address, key=key) as board:
        assert board.submit(order("echo", 1)).result(10).output == 1
        manager.terminate()
        assert manager.wait(20) == 0
        assert worker.wait(20) == 0
        end = time.monotonic() + 5
        with pytest.raises(PlaygroundClosed, match="the manager has ended"):
            while time.monotonic() < end:
                board.submit(order("echo", 1))
                time.sleep(0.01)
