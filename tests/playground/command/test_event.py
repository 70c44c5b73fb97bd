"""``callboard events``: a stream for people and for programs, in another process and over TCP."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable

from callboard import Event, Task, connect
from callboard.playground.command.event import line
from tests.playground.command.conftest import HERE, Terminal
from tests.playground.command.test_worker import paint


def test_a_tasks_life_is_told_a_line_each(terminal: Terminal, address: str) -> None:
    terminal.worker(address, "studio:Painter", "--name", "eve", "--role", "paint")
    events = terminal.start("events", address, "task.*")
    events.wait_for("listening to task.*")
    with connect(address) as client:
        assert client.submit(Task("portrait", "paint")).result(20).success
    events.wait_for("task.completed")
    assert events.end(signal.SIGINT) == 0
    assert [text.split()[1] for text in events.out] == ["task.submitted", "task.assigned", "task.started", "task.completed"]
    assert all("portrait" in text for text in events.out)
    assert len(events.err) == 1


def test_ten_thousand_events_reach_another_process_and_none_is_missing(terminal: Terminal, address: str) -> None:
    terminal.worker(address, "studio:Painter", "--role", "paint")
    events = terminal.start("events", address, "studio.*", "--json")
    events.wait_for("listening")
    with connect(address) as client:
        assert client.submit(paint(say=10_000)).result(30).success
    events.wait_for('"number": 9999}')
    assert events.end(signal.SIGINT) == 0
    told = [json.loads(text) for text in events.out]
    assert [event["data"]["number"] for event in told] == list(range(10_000))
    assert [event["sequence"] for event in told] == list(range(1, 10_001))
    assert {(event["topic"], event["name"]) for event in told} == {("studio.number", "portrait")}


def test_the_stream_ends_with_its_manager(terminal: Terminal, free_port: Callable[[], int]) -> None:
    port = free_port()
    manager = terminal.manager(port)
    events = terminal.start("events", f"tcp://127.0.0.1:{port}")
    events.wait_for("listening to *")
    with connect(f"tcp://127.0.0.1:{port}") as client:
        client.submit(Task("portrait", "paint"))
        events.wait_for("task.submitted")
    assert manager.end() == 0
    assert events.wait() == 0
    assert events.err[-1] == "the manager has ended"
    assert "task.cancelled" in events.out[-1]


def test_a_reader_that_goes_ends_the_stream_quietly(terminal: Terminal, address: str) -> None:
    program = [sys.executable, "-m", "callboard", "events", address]
    events = subprocess.Popen(program, cwd=HERE, env=terminal.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert events.stdout is not None and events.stderr is not None
    with events.stderr:
        events.stderr.readline()
        with connect(address) as client:
            client.emit("studio.opened")
            assert "studio.opened" in events.stdout.readline()
            events.stdout.close()
            client.emit("studio.closed")
            assert events.wait(20) == 0
        assert events.stderr.read() == ""


def test_an_events_line_has_what_there_is() -> None:
    told = line(Event("task.failed", 0.0, 3, "id-1", "portrait", "eve", {"error": "no paint"}))
    assert told.split("  ", 1)[1].split() == ["task.failed", "portrait", "on", "eve", "error='no", "paint'"]
    assert line(Event("worker.joined", 0.0, worker="eve")).split()[1:] == ["worker.joined", "eve"]
