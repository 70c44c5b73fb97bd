"""``callboard manager`` and ``callboard keys`` in real processes."""

from __future__ import annotations

import json
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from callboard import Task, TaskStatus, connect
from tests.playground.command.conftest import Terminal
from tests.playground.command.test_worker import complaint


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_manager_says_where_it_listens_and_leaves_nothing_behind(
    terminal: Terminal, free_port: Callable[[], int], number: signal.Signals
) -> None:
    port = free_port()
    manager = terminal.start("manager", "--port", str(port), "--name", "studio")
    line = manager.wait_for("listens")
    assert line.startswith(f"studio listens on tcp://127.0.0.1:{port}; ")
    assert Path(line.rpartition(" ")[2]).exists()
    assert manager.end(number) == 0
    assert (manager.out, manager.err) == ([line], [])
    assert list(terminal.home.iterdir()) == []


def test_what_is_open_at_the_end_is_cancelled(terminal: Terminal, free_port: Callable[[], int]) -> None:
    port = free_port()
    manager = terminal.manager(port)
    with connect(f"tcp://127.0.0.1:{port}") as client:
        handle = client.submit(Task("portrait", "paint"))
        assert handle.status is TaskStatus.PENDING
        assert manager.end() == 0
        assert handle.result(20).status is TaskStatus.CANCELLED


def test_signals_that_come_twice_end_it_in_order_all_the_same(terminal: Terminal, free_port: Callable[[], int]) -> None:
    manager = terminal.manager(free_port())
    manager.send(signal.SIGTERM)
    assert manager.end(signal.SIGTERM) == 0
    assert list(terminal.home.iterdir()) == []


def test_a_second_ctrl_c_ends_it_without_a_traceback(terminal: Terminal, free_port: Callable[[], int]) -> None:
    manager = terminal.manager(free_port())
    manager.send(signal.SIGINT)
    assert manager.end(signal.SIGINT) in (0, 130)  # whichever was quicker
    assert manager.err == []
    assert list(terminal.home.iterdir()) == []


def test_a_port_in_use_is_one_line(terminal: Terminal) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = complaint(terminal.run("manager", "--port", str(port)), 1)
    assert f"cannot listen on tcp://127.0.0.1:{port}" in said
    assert "choose another port" in said


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["--host", "0.0.0.0"], 1, "need keys: pass key_file=PATH"),
        (["--port", "70000"], 2, "port: it must be 1 to 65535 (it is 70000)"),
        (["--max-payload", "3"], 2, "max_payload: it must be 1024 to 2147483648"),
    ],
)
def test_a_mistake_is_one_clear_line(terminal: Terminal, words: list[str], code: int, expected: str) -> None:
    assert expected in complaint(terminal.run("manager", *words), code)


def test_keys_are_made_once_and_let_in_who_has_them(terminal: Terminal, free_port: Callable[[], int], tmp_path: Path) -> None:
    path = tmp_path / "keys" / "studio"
    code, out, _ = terminal.run("keys", str(path))
    assert code == 0
    assert [line.partition(":")[0] for line in out] == [str(path), f"{path}.server"]
    for file in (path, Path(f"{path}.server")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(path.read_text()).keys().isdisjoint(json.loads(Path(f"{path}.server").read_text()).keys() - {"public", "secret"})
    before = path.read_text()
    assert "exists already; nothing was changed" in complaint(terminal.run("keys", str(path)), 2)
    assert path.read_text() == before

    port = free_port()
    terminal.manager(port, "--key-file", str(path))
    worker = terminal.worker(f"tcp://127.0.0.1:{port}", "studio:Painter", "--key", str(path))
    with connect(f"tcp://127.0.0.1:{port}", key=path) as client:
        assert client.submit(Task("portrait", "worker")).result(20).output["pid"] == worker.pid


def test_one_that_listens_on_all_interfaces_is_found_by_loopback(terminal: Terminal, free_port: Callable[[], int], tmp_path: Path) -> None:
    port, path = free_port(), tmp_path / "keys"
    manager = terminal.manager(port, "--host", "0.0.0.0", "--key-file", str(path))
    worker = terminal.worker(f"tcp://127.0.0.1:{port}", "studio:Painter")
    with connect(f"tcp://localhost:{port}") as client:
        assert client.submit(Task("portrait", "worker")).result(20).output["pid"] == worker.pid
    assert manager.end() == 0
    assert list(terminal.home.iterdir()) == []
    assert path.exists()
