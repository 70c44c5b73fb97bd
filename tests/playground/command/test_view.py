"""``callboard status`` and ``callboard dump``: what a person sees, and what a program gets."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import pytest

from callboard import Task, connect
from callboard.actors.keyring import server_keys
from callboard.playground.command.view import _duration
from tests.playground.command.conftest import Terminal
from tests.playground.command.test_worker import complaint, paint, wait_until


def test_status_says_that_nobody_is_there_and_what_to_do(terminal: Terminal, address: str) -> None:
    code, out, err = terminal.run("status", address)
    assert (code, err) == (0, [])
    assert out[0].split("  ")[1] == "0 workers, 0 open tasks"
    assert out[1] == f"Nobody works here yet: callboard worker {address} MODULE:CLASS"


def test_status_shows_queues_and_who_is_busy(terminal: Terminal, address: str, tmp_path: Path) -> None:
    worker = terminal.worker(address, "studio:Painter", "--name", "eve", "--role", "paint", "--skill", "oil=9", "--slots", "2")
    with connect(address) as client:
        running = client.submit(paint(until=str(tmp_path / "go")))
        waiting = [client.submit(Task("poem", "write", skills={"rhyme": 2})) for _ in range(3)]
        wait_until((tmp_path / "go.begun").exists)
        _, out, _ = terminal.run("status", address)
        shown = "\n".join(out)
        assert "1 worker, 4 open tasks (1 at workers, 3 ready)" in shown
        (queue,) = [line for line in out if "write" in line]
        assert queue.split()[-2:] == ["3", "nobody"]
        (row,) = [line for line in out if line.startswith("eve")]
        assert row.split()[:6] == ["eve", "paint", "oil=9", "█░", "1/2", str(worker.pid)]

        _, out, _ = terminal.run("status", address, "--json")
        overview = json.loads("\n".join(out))
        assert (overview["open"], overview["ready"], overview["at_workers"]) == (4, 3, 1)
        assert [(view["name"], view["load"], view["slots"]) for view in overview["workers"]] == [("eve", 1, 2)]
        for handle in waiting:
            handle.cancel()
        (tmp_path / "go").touch()
        assert running.result(20).success


def test_dump_shows_where_a_task_stands(terminal: Terminal, address: str, tmp_path: Path) -> None:
    worker = terminal.worker(address, "studio:Painter", "--name", "eve", "--role", "paint")
    with connect(address) as client:
        running = client.submit(paint(until=str(tmp_path / "go")))
        wait_until((tmp_path / "go.begun").exists)
        code, out, err = terminal.run("dump", address)
        (row,) = json.loads(terminal.run("dump", address, "--json")[1][0])
        (tmp_path / "go").touch()
        assert running.result(20).success
    assert (code, err) == (0, [])
    assert out[0].startswith(f"eve (pid {worker.pid} on ")
    assert any(f"task 'portrait' ({running.task_id})" in line for line in out)
    assert any("studio.py" in line and "in process" in line for line in out)
    assert (row["name"], row["pid"]) == ("eve", worker.pid)
    assert "in process" in row["text"]


def test_nobody_there_is_one_line(terminal: Terminal) -> None:
    for command in ("status", "dump"):
        said = complaint(terminal.run(command, "tcp://127.0.0.1:9"), 1)
        assert "no connection file for tcp://127.0.0.1:9" in said
        assert "is the manager running" in said


def test_durations_are_told_in_their_largest_unit() -> None:
    assert [_duration(seconds) for seconds in (-0.1, 59, 60, 3599, 7200, 200_000)] == ["0 s", "59 s", "1 m", "60 m", "2 h", "2 d"]


@pytest.mark.parametrize("words", [["status"], ["dump"], ["explain", "some-id"], ["submit", "paint"], ["events"]])
def test_ctrl_c_while_nobody_answers_is_no_traceback(terminal: Terminal, tmp_path: Path, words: list[str]) -> None:
    server_keys(tmp_path / "keys")
    command, *rest = words
    with socket.socket() as deaf:  # takes the connection and says nothing
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        running = terminal.start(command, f"tcp://127.0.0.1:{deaf.getsockname()[1]}", *rest, "--key", str(tmp_path / "keys"))
        deaf.accept()[0].close()
        assert running.end(signal.SIGINT) == 130
    assert (running.out, running.err) == ([], [])
