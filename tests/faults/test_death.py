"""Workers whose processes end."""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from callboard import Playground, TaskStatus
from callboard.messages.errors import WorkerDied
from tests.faults.conftest import Start
from tests.faults.crew import Hand, await_lines, lines, order, outputs

Figure = Callable[[str, object], None]


def crew(*names: str, slots: int = 1) -> list[Hand]:
    return [Hand(name, slots=slots) for name in names]


@pytest.mark.usefixtures("no_leaks")
def test_a_killed_local_worker_s_task_is_assigned_again(tmp_path: Path, figure: Figure) -> None:
    delays: list[float] = []
    with Playground().play(workers=crew("ada", "bob", "eve", "kim")) as stage:
        for number in range(8):
            path = tmp_path / str(number)
            handle = stage.submit(order("linger", (str(path), 30.0)))
            (begun,) = await_lines(path, 1)
            os.kill(int(begun.split()[1]), signal.SIGKILL)
            killed = time.monotonic()
            await_lines(path, 2)
            delays.append(time.monotonic() - killed)
            result = handle.result(10)
            assert result.unwrap() == handle.task_id
            assert result.attempts == 2
            assert len(lines(path)) == 2
    figure("killed local worker: assigned again, median and worst of 8 (s)", f"{statistics.median(delays):.4f}, {max(delays):.4f}")


@pytest.mark.usefixtures("no_leaks")
def test_a_killed_remote_worker_s_task_is_assigned_again(tmp_path: Path, port: int, start: Start, figure: Figure) -> None:
    key, path = tmp_path / "key", tmp_path / "marks"
    with Playground(port=port, key_file=key).play(workers=[]) as stage:
        address = f"tcp://127.0.0.1:{port}"
        remote = {str(start("worker", address, key, name).pid) for name in ("ada", "bob")}
        handle = stage.submit(order("linger", (str(path), 30.0)))
        (begun,) = await_lines(path, 1)
        assert begun.split()[1] in remote
        os.kill(int(begun.split()[1]), signal.SIGKILL)
        killed = time.monotonic()
        second = await_lines(path, 2)[1]
        figure("killed remote worker: assigned again (s)", time.monotonic() - killed)
        assert second.split()[1] in remote - {begun.split()[1]}
        assert handle.result(10).unwrap() == handle.task_id


DEATHS: list[tuple[str, str, Any, str]] = [
    ("exit code", "leave", 9, "ended with exit code 9"),
    ("segmentation fault", "signal", int(signal.SIGSEGV), "was killed by SIGSEGV"),
    ("out-of-memory killer", "signal", int(signal.SIGKILL), "was killed by SIGKILL"),
]


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize(("label", "what", "argument", "words"), DEATHS, ids=[row[0] for row in DEATHS])
def test_a_task_that_kills_its_process_is_given_up_alone(label: str, what: str, argument: int, words: str, figure: Figure) -> None:
    with Playground().play(workers=crew("ada", "bob")) as stage:
        before = [stage.submit(order("echo", number)) for number in range(50)]
        begun = time.monotonic()
        bad = stage.submit(order(what, argument))
        after = [stage.submit(order("echo", number)) for number in range(50, 100)]
        result = bad.result(20)
        figure(f"three deaths by {label}: given up after (s)", time.monotonic() - begun)
        assert outputs([*before, *after]) == list(range(100))
        assert all(handle.result().attempts == 1 for handle in (*before, *after))
    assert result.status is TaskStatus.FAILED
    assert result.attempts == 3
    assert words in str(result.error)
    with pytest.raises(WorkerDied, match=words):
        result.unwrap()


@pytest.mark.usefixtures("no_leaks")
def test_a_remote_worker_that_a_task_kills_was_lost(tmp_path: Path, port: int, start: Start, figure: Figure) -> None:
    key = tmp_path / "key"
    with Playground(port=port, key_file=key).play(workers=[]) as stage:
        for name in ("ada", "bob", "eve", "kim"):
            start("worker", f"tcp://127.0.0.1:{port}", key, name)
        begun = time.monotonic()
        bad = stage.submit(order("leave", 9))
        good = [stage.submit(order("echo", number)) for number in range(100)]
        result = bad.result(20)
        figure("three deaths of remote workers: given up after (s)", time.monotonic() - begun)
        assert outputs(good) == list(range(100))
    assert "cannot be reached" in str(result.error)
    with pytest.raises(WorkerDied):
        result.unwrap()


@pytest.mark.usefixtures("no_leaks")
def test_running_out_of_memory_in_python_is_a_failure_like_any_other() -> None:
    with Playground().play(workers=crew("ada")) as stage:
        result = stage.submit(order("exhaust")).result(10)
        assert result.attempts == 1
        assert "MemoryError" in str(result.error)
        assert stage.submit(order("echo", 1)).result(10).output == 1


@pytest.mark.usefixtures("no_leaks")
def test_a_worker_told_to_end_twice_loses_and_doubles_nothing(tmp_path: Path, port: int, start: Start, figure: Figure) -> None:
    key, path = tmp_path / "key", tmp_path / "marks"
    with Playground(port=port, key_file=key).play(workers=[]) as stage:
        address = f"tcp://127.0.0.1:{port}"
        first = start("worker", address, key, "ada", 2)
        long = [stage.submit(order("linger", (str(path), 30.0))) for _ in range(2)]
        await_lines(path, 2)
        short = [stage.submit(order("mark", (str(path), 0.005))) for _ in range(198)]
        first.send_signal(signal.SIGTERM)
        second = start("worker", address, key, "bob", 2)
        time.sleep(0.7)  # within half a second it would be the same request, passed on by a launcher
        assert first.poll() is None
        first.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        assert first.wait(10) == 0
        figure("SIGTERM twice: worker gone after the second (s)", time.monotonic() - asked)
        assert outputs([*long, *short]) == [handle.task_id for handle in (*long, *short)]
        assert second.poll() is None
    marks = [line.split() for line in lines(path)]
    begun = Counter(task_id for task_id, _ in marks)
    # What ran at the second signal was handed back and begun once more; all else was begun once, and elsewhere.
    assert begun == Counter({handle.task_id: 2 for handle in long}) + Counter(handle.task_id for handle in short)
    assert len([pid for _, pid in marks if pid == str(first.pid)]) == 2


@pytest.mark.usefixtures("no_leaks")
def test_a_worker_told_to_end_once_finishes_what_it_runs(tmp_path: Path, port: int, start: Start) -> None:
    key, path = tmp_path / "key", tmp_path / "marks"
    with Playground(port=port, key_file=key).play(workers=[]) as stage:
        address = f"tcp://127.0.0.1:{port}"
        first = start("worker", address, key, "ada")
        handles = [stage.submit(order("mark", (str(path), seconds))) for seconds in (1.0, 0.0, 0.0)]
        await_lines(path, 1)
        first.send_signal(signal.SIGTERM)
        assert first.wait(10) == 0
        assert len(lines(path)) == 1
        start("worker", address, key, "bob")
        assert outputs(handles) == [handle.task_id for handle in handles]
        assert [handle.result().attempts for handle in handles] == [1, 1, 1]


@pytest.mark.usefixtures("no_leaks")
def test_what_a_killed_client_has_submitted_is_done(tmp_path: Path, port: int, start: Start) -> None:
    key, ended = tmp_path / "key", tmp_path / "ended"
    done: list[str] = []
    with Playground(port=port, key_file=key).play(workers=crew("ada")) as stage:
        stage.on("task.completed", lambda event: done.append(str(event.task_id)))
        client = start("client", f"tcp://127.0.0.1:{port}", key, 300, 0.005, ended)
        while stage.task_manager.overview()["open"] + len(done) < 300:
            time.sleep(0.01)
        client.kill()
        client.wait()
        while len(done) < 300:
            time.sleep(0.01)
        assert stage.task_manager.overview()["open"] == 0
    assert len(set(done)) == 300
    assert len(lines(ended)) < 300, "it was killed too late to show anything"


def test_a_killed_script_takes_its_workers_along(tmp_path: Path, figure: Figure) -> None:
    path = tmp_path / "pids"
    folder = tmp_path / "tmp"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.program", "script", str(path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TMPDIR": str(folder)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"READY\n"
    workers = [psutil.Process(int(line)) for line in lines(path)]
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) == 2
    process.kill()
    killed = time.monotonic()
    while any(alive(one) for one in family) and time.monotonic() < killed + 3:
        time.sleep(0.002)
    figure("script killed: its processes gone after (s)", time.monotonic() - killed)
    assert {worker.pid for worker in workers} <= {one.pid for one in family}
    assert not any(alive(one) for one in family)
    assert list(folder.iterdir()) == []
    process.wait()
    process.stdout.close()


def alive(process: psutil.Process) -> bool:
    """Whether it runs; one that has ended may still have to be collected by its new parent."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.usefixtures("no_leaks")
def test_a_fan_in_has_all_results_whatever_dies(full: bool, figure: Figure) -> None:
    rounds = 100 if full else 6
    chance = random.Random(7)
    joined: list[list[int]] = []

    def join(values: list[int]) -> int:
        joined.append(values)
        return len(values)

    kills = 0
    # A task may well run where all three kills of a round fall: it is not to blame for them.
    with Playground(max_worker_deaths=10).play(workers=crew("ada", "bob", "eve")) as stage:
        for _ in range(rounds):
            group = stage.fan_out("worker", [("echo", number) for number in range(100)], join=join)
            # A kill while it is handed out, one while it runs, one while the results come in.
            for pause in (0.0, 0.002, 0.004):
                time.sleep(pause)
                there = stage.workers
                if there:
                    kills += _kill(chance.choice(there).pid)
            assert group.result(30).output == 100
    assert joined == [list(range(100))] * rounds
    figure("fan-in of 100: rounds, kills", f"{rounds}, {kills}")


def _kill(pid: int) -> int:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1


@pytest.mark.usefixtures("no_leaks")
def test_one_key_submitted_a_hundred_times_is_one_task(tmp_path: Path) -> None:
    path = tmp_path / "marks"
    with Playground().play(workers=crew("ada", "bob")) as stage:
        handles: list[Any] = []
        together = threading.Barrier(10)

        def submit() -> None:
            together.wait()
            for _ in range(10):
                handles.append(stage.submit(order("linger", (str(path), 30.0), idempotency_key="one")))

        threads = [threading.Thread(target=submit) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (begun,) = await_lines(path, 1)
        os.kill(int(begun.split()[1]), signal.SIGKILL)
        found = outputs(handles)
        assert len(handles) == 100
        assert len(set(found)) == 1
        # The effect at least once: the killed attempt had begun.
        assert [line.split()[0] for line in lines(path)] == [found[0], found[0]]
        late = stage.submit(order("linger", (str(path), 30.0), idempotency_key="one"))
        assert late.result(10).unwrap() == found[0]
        assert len(lines(path)) == 2


@pytest.mark.usefixtures("no_leaks")
def test_two_workers_of_one_name_both_serve() -> None:
    with Playground().play(workers=crew("ada", "ada")) as stage:
        first, second = stage.workers
        assert first.name == second.name == "ada"
        assert first.id != second.id
        found = outputs([stage.submit(order("pid", 0.1)) for _ in range(4)])
        assert set(found) == {first.pid, second.pid}
