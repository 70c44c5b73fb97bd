"""``callboard submit`` and ``callboard explain``."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from callboard import TaskStatus, connect
from tests.playground.command.conftest import Terminal
from tests.playground.command.test_worker import complaint, wait_until


def test_submit_prints_the_output(terminal: Terminal, address: str) -> None:
    worker = terminal.worker(address, "studio:Painter", "--name", "eve", "--role", "paint", "--skill", "oil=9")
    code, out, err = terminal.run(
        "submit", address, "paint", "--data", '"a cat"', "--name", "portrait", "--skill", "oil=5", "--timeout", "9"
    )
    assert (code, err) == (0, [])
    assert json.loads(out[0]) == {"worker": "eve", "pid": worker.pid, "data": "a cat", "attempt": 1}
    code, out, _ = terminal.run("submit", address, "paint", "--data", '{"say": 0}')
    assert json.loads(out[0])["data"] == {"say": 0}


def test_a_task_that_fails_is_exit_code_1_and_one_line(terminal: Terminal, address: str) -> None:
    terminal.worker(address, "studio:Painter", "--name", "eve", "--role", "paint")
    said = complaint(terminal.run("submit", address, "paint", "--data", '{"fail": "no paint"}'), 1)
    assert said == "callboard: task 'paint' failed on eve: ValueError: no paint"


def test_without_waiting_it_prints_the_id_which_explain_takes(terminal: Terminal, address: str) -> None:
    code, out, err = terminal.run("submit", address, "paint", "--no-wait", "--skill", "oil=5")
    assert (code, err) == (0, [])
    code, told, _ = terminal.run("explain", address, out[0])
    assert code == 0
    assert told[0] == f"task 'paint' ({out[0]}) is pending"
    assert "oil" in told[1] and "nobody who is connected could take it" in told
    worker = terminal.worker(address, "studio:Painter", "--role", "paint", "--skill", "oil=9")
    with connect(address) as client:
        wait_until(lambda: client.task_manager.get_task(out[0]).status is TaskStatus.COMPLETED)
        assert client.task_manager.get_task(out[0]).worker == f"Painter-{worker.pid}"


def test_ctrl_c_cancels_what_is_waited_for(terminal: Terminal, address: str, tmp_path: Path) -> None:
    terminal.worker(address, "studio:Painter", "--role", "paint")
    data = json.dumps({"until": str(tmp_path / "never")})
    with connect(address) as client:
        running = terminal.start("submit", address, "paint", "--data", data)
        wait_until((tmp_path / "never.begun").exists)
        running.send(signal.SIGINT)
        running.wait_for("cancelled ")
        assert running.wait() == 130
        assert running.out == []
        waiting = terminal.start("submit", address, "nobody")
        wait_until(lambda: client.task_manager.overview()["ready"] == 1)
        assert waiting.end(signal.SIGINT) == 130
        wait_until(lambda: client.task_manager.overview()["ready"] == 0)
    (tmp_path / "never").touch()


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["--data", "a cat"], 2, "--data is no JSON"),
        (["--skill", "=3"], 2, "--skill '=3' is not TAG=LEVEL"),
        (["--timeout", "-1"], 2, "timeout"),
    ],
)
def test_a_mistake_is_one_clear_line(terminal: Terminal, words: list[str], code: int, expected: str) -> None:
    assert expected in complaint(terminal.run("submit", "tcp://127.0.0.1:9", "paint", *words), code)


def test_an_unknown_id_is_one_line(terminal: Terminal, address: str) -> None:
    assert complaint(terminal.run("explain", address, "no-such-id"), 1) == "callboard: no task 'no-such-id' is known here"
