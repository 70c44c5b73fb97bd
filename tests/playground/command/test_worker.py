"""``callboard worker`` in real processes, as a manager, tasks and signals find it."""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from callboard import Task, TaskStatus, connect
from callboard.messages.errors import InvalidSetting
from callboard.playground.command.worker import build, load_class
from tests.playground.command.conftest import Terminal
from tests.playground.command.studio import Broken, Demanding, Modest, Painter


def paint(**data: object) -> Task:
    return Task("portrait", "paint", {"data": data})


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < until, "it never came to be"
        time.sleep(0.005)


# -- what it does ---------------------------------------------------------------------------------


def test_manager_worker_and_client_are_three_processes_over_tcp(terminal: Terminal, free_port: Callable[[], int], tmp_path: Path) -> None:
    port = free_port()
    manager = terminal.manager(port)
    file = terminal.home / f"127.0.0.1-{port}.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    worker = terminal.worker(f"tcp://127.0.0.1:{port}", "studio:Painter", "--name", "eve", "--role", "paint", "--skill", "oil=9")
    notes = tmp_path / "notes"
    with connect(f"tcp://127.0.0.1:{port}") as client:
        handles = [client.submit(Task(f"portrait-{n}", "paint", {"data": {"note": str(notes)}}, skills={"oil": 5})) for n in range(20)]
        results = [handle.result(20) for handle in handles]
        assert all(result.success and result.worker == "eve" for result in results)
        assert {result.output["pid"] for result in results} == {worker.pid}
        assert len({os.getpid(), manager.pid, worker.pid}) == 3
        assert sorted(notes.read_text().split()) == sorted(handle.task_id for handle in handles)
        assert worker.end(signal.SIGTERM) == 0
        wait_until(lambda: client.workers == [])
    assert manager.end(signal.SIGTERM) == 0
    assert not file.exists()
    assert (manager.err, worker.err[1:]) == ([], [])


def test_a_worker_that_is_told_to_go_finishes_what_it_does_and_takes_nothing_new(terminal: Terminal, address: str, tmp_path: Path) -> None:
    worker = terminal.worker(address, "studio:Painter", "--name", "eve", "--role", "paint")
    go = tmp_path / "go"
    with connect(address) as client:
        running = client.submit(paint(until=str(go)))
        wait_until(Path(f"{go}.begun").exists)
        worker.send(signal.SIGTERM)
        later = client.submit(paint())
        wait_until(lambda: "nobody who is connected could take it" in client.explain(later.task_id))
        go.touch()
        result = running.result(20)
        assert (result.status, result.worker, result.attempts) == (TaskStatus.COMPLETED, "eve", 1)
        assert worker.wait() == 0


def test_a_worker_that_is_told_to_go_again_hands_back_what_it_does(terminal: Terminal, address: str, tmp_path: Path) -> None:
    worker = terminal.worker(address, "studio:Painter", "--name", "eve", "--role", "paint")
    with connect(address) as client:
        running = client.submit(paint(until=str(tmp_path / "go")))
        wait_until((tmp_path / "go.begun").exists)
        while worker.process.poll() is None:
            worker.send(signal.SIGTERM)
            time.sleep(0.05)
        (tmp_path / "go").touch()
        terminal.worker(address, "studio:Painter", "--name", "bob", "--role", "paint")
        result = running.result(20)
        assert (result.success, result.worker) == (True, "bob")


def test_ctrl_c_lets_a_worker_finish_as_well(terminal: Terminal, address: str) -> None:
    worker = terminal.worker(address, "studio:Painter")
    assert worker.end(signal.SIGINT) == 0
    assert len(worker.err) == 1  # that it had joined


def test_two_workers_share_the_tasks_that_each_can_do(terminal: Terminal, address: str) -> None:
    junior = terminal.worker(address, "studio:Painter", "--name", "junior", "--role", "paint", "--skill", "oil=3")
    master = terminal.worker(address, "studio:Painter", "--name", "master", "--role", "paint", "--skill", "oil=9", "--skill", "gold")
    with connect(address) as client:
        easy = [client.submit(Task("easy", "paint", skills={"oil": 2})) for _ in range(2)]
        hard = [client.submit(Task("hard", "paint", skills={"oil": 8, "gold": 1})) for _ in range(2)]
        assert {handle.result(20).output["pid"] for handle in hard} == {master.pid}
        assert junior.pid in {handle.result(20).output["pid"] for handle in easy}
        views = {view.name: view for view in client.workers}
        assert (views["junior"].skills, views["master"].skills) == ({"oil": 3}, {"oil": 9, "gold": 1})


def test_slots_let_one_worker_do_several_tasks_at_once(terminal: Terminal, address: str, tmp_path: Path) -> None:
    worker = terminal.worker(address, "studio:Painter", "--role", "paint", "--slots", "2")
    with connect(address) as client:
        # The second can only end the first when both run at once.
        first = client.submit(paint(until=str(tmp_path / "go")))
        wait_until((tmp_path / "go.begun").exists)
        second = client.submit(paint())
        assert second.result(20).output["pid"] == worker.pid
        (tmp_path / "go").touch()
        assert first.result(20).success
        assert (client.workers[0].name, client.workers[0].slots) == (f"Painter-{worker.pid}", 2)


def test_a_worker_without_a_class_runs_carried_code(terminal: Terminal, address: str) -> None:
    worker = terminal.worker(address)
    with connect(address) as client:
        assert client.executor.submit(lambda: os.getpid()).result(20) == worker.pid
        assert [(view.name, view.role) for view in client.workers] == [(f"python-{worker.pid}", "python")]


def test_a_module_may_lie_elsewhere(terminal: Terminal, address: str, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "elsewhere.py").write_text(
        "from callboard import ProcessWorker\n\n\nclass Reader(ProcessWorker):\n    def process(self, request):\n        return 'read'\n"
    )
    terminal.worker(address, "elsewhere:Reader", "--import-path", str(tmp_path / "code"))
    with connect(address) as client:
        assert client.submit(Task("book", "worker")).result(20).output == "read"


def test_on_start_and_on_stop_run_in_the_process(terminal: Terminal, address: str, tmp_path: Path) -> None:
    terminal.environment["CEREMONY"] = str(tmp_path / "ceremony")
    worker = terminal.worker(address, "studio:Ceremonial")
    assert (tmp_path / "ceremony").read_text() == "started\n"
    assert worker.end() == 0
    assert (tmp_path / "ceremony").read_text() == "started\nstopped\n"


def test_a_task_that_will_not_stop_costs_the_process_which_begins_anew(terminal: Terminal, address: str, tmp_path: Path) -> None:
    worker = terminal.worker(address, "studio:Painter", "--role", "paint")
    with connect(address) as client:
        stuck = client.submit(Task("stuck", "paint", {"data": {"until": str(tmp_path / "never")}}, timeout=0.2)).result(20)
        assert (stuck.status, stuck.failure and stuck.failure.type_name) == (TaskStatus.FAILED, "TaskTimedOut")
        first = client.workers
        result = client.submit(paint()).result(20)
        assert result.output["pid"] == worker.pid
        assert client.workers[0].id not in [view.id for view in first if view.load]
    assert worker.end() == 0


def test_a_worker_ends_with_its_manager(terminal: Terminal, free_port: Callable[[], int]) -> None:
    port = free_port()
    manager = terminal.manager(port)
    worker = terminal.worker(f"tcp://127.0.0.1:{port}", "studio:Painter")
    assert manager.end() == 0
    assert worker.wait() == 0


# -- what cannot be -------------------------------------------------------------------------------

ADDRESS = "tcp://127.0.0.1:8000"


def complaint(ended: tuple[int, list[str], list[str]], code: int) -> str:
    """The one line that a command says when it cannot do what was asked."""
    assert (ended[0], ended[1], len(ended[2])) == (code, [], 1), ended
    return ended[2][0]


def test_a_class_that_does_not_exist_is_one_line_and_exit_code_2(terminal: Terminal) -> None:
    said = complaint(terminal.run("worker", ADDRESS, "studio:Paintre"), 2)
    assert said == "callboard: module 'studio' has no 'Paintre'; is 'Painter' meant?"
    assert "there is no module 'atelier'" in complaint(terminal.run("worker", ADDRESS, "atelier:Painter"), 2)


def test_a_module_that_raises_says_where(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "torn.py").write_text("import os\n\nos.no_such_thing\n")
    (tmp_path / "odd.py").write_text("def broken(:\n")
    said = complaint(terminal.run("worker", ADDRESS, "torn:Painter", "--import-path", str(tmp_path)), 2)
    assert "module 'torn' cannot be imported: AttributeError" in said
    assert "torn.py, line 3" in said
    assert "SyntaxError" in complaint(terminal.run("worker", ADDRESS, "odd:Painter", "--import-path", str(tmp_path)), 2)


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["no-address"], 2, "'no-address' is no address: expected tcp://HOST:PORT"),
        ([ADDRESS, "studio:Painter", "--skill", "oil=much"], 2, "--skill 'oil=much' is not TAG=LEVEL"),
        ([ADDRESS, "studio:Painter", "--slots", "0"], 2, "needs at least one slot"),
        ([ADDRESS, "studio:Modest", "--role", "paint"], 2, "Modest takes no role"),
        ([ADDRESS, "studio:Painter"], 1, "no connection file for tcp://127.0.0.1:8000"),
        ([ADDRESS, "studio:Painter", "--key", "no/such/file"], 1, "there is no file no/such/file"),
    ],
)
def test_a_mistake_is_one_clear_line(terminal: Terminal, words: list[str], code: int, expected: str) -> None:
    assert expected in complaint(terminal.run("worker", *words), code)


def test_a_key_that_the_manager_does_not_know_is_refused(terminal: Terminal, address: str, tmp_path: Path) -> None:
    assert terminal.run("keys", str(tmp_path / "other"))[0] == 0
    said = complaint(terminal.run("worker", address, "studio:Painter", "--key", str(tmp_path / "other")), 1)
    assert "refused the keys" in said


def test_a_worker_that_finds_nobody_can_be_told_to_go(terminal: Terminal, free_port: Callable[[], int], tmp_path: Path) -> None:
    terminal.run("keys", str(tmp_path / "keys"))
    terminal.environment["CEREMONY"] = str(tmp_path / "ceremony")
    worker = terminal.start("worker", f"tcp://127.0.0.1:{free_port()}", "studio:Ceremonial", "--key", str(tmp_path / "keys"))
    wait_until((tmp_path / "ceremony").exists)
    while worker.process.poll() is None:
        worker.send(signal.SIGTERM)
        time.sleep(0.02)
    assert worker.wait() in (0, -signal.SIGTERM)  # it may have come between the two


def test_only_worker_classes_can_be_named() -> None:
    here = "tests.playground.command.studio"
    assert load_class(f"{here}:Painter") is Painter
    for target, expected in (
        ("Painter", "is not MODULE:CLASS"),
        (f"{here}:", "is not MODULE:CLASS"),
        (f"{here}:not_a_class", "is no ProcessWorker class but 42"),
        (f"{here}:Path", "is no ProcessWorker class"),
        (f"{here}.deeper:Painter", "cannot be imported|no module"),
    ):
        with pytest.raises(InvalidSetting, match=expected):
            load_class(target)


def test_a_constructor_gets_what_it_takes() -> None:
    made = build(Painter, "eve", {"role": "paint", "skills": {"oil": 2}, "slots": 3})
    assert (made.name, made.role, made.skills, made.slots) == ("eve", "paint", {"oil": 2}, 3)
    assert build(Modest, "mo", {}).role == "modest"
    with pytest.raises(InvalidSetting, match="Modest takes no role, slots, so that they cannot be given"):
        build(Modest, "mo", {"role": "paint", "slots": 2})
    with pytest.raises(InvalidSetting, match="Demanding needs studio, which cannot be given here"):
        build(Demanding, "deb", {})
    with pytest.raises(InvalidSetting, match="Broken cannot be made: RuntimeError: no brushes left"):
        build(Broken, "bo", {})
