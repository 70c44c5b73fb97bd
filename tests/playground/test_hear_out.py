"""The end of a block: what handlers and callbacks still submit belongs to it, and their threads end with it."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from callboard import Event, Playground, Task
from tests.playground.crew import Noting


def test_what_callbacks_submit_is_waited_for(no_leaks: None) -> None:
    heard: list[Any] = []
    with Playground().play(workers=[Noting("ada")]) as stage:

        def again(handle: Any) -> None:
            heard.append(handle.result().output)
            if len(heard) < 20:
                stage.submit(Task(processor="worker", input_data={"data": len(heard)})).add_done_callback(again)

        stage.submit(Task(processor="worker", input_data={"data": 0})).add_done_callback(again)
    assert heard == list(range(20))


def test_what_event_handlers_submit_is_waited_for(no_leaks: None) -> None:
    heard: list[str | None] = []
    with Playground().play(workers=[Noting("ada")]) as stage:

        def again(event: Event) -> None:
            heard.append(event.name)
            time.sleep(0.02)  # so that the block is already being left
            if len(heard) < 5:
                stage.submit(Task(f"number {len(heard)}", "worker"))

        stage.on("task.completed", again)
        stage.submit(Task("number 0", "worker"))
    assert heard == [f"number {number}" for number in range(5)]


def test_a_callback_that_does_not_return_is_left_to_itself(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("callboard.playground.session.LEAVE_PATIENCE", 0.1)
    stay = threading.Event()
    begun = time.monotonic()
    with Playground().play(workers=[Noting("ada")]) as stage:
        stage.submit(Task(processor="worker")).add_done_callback(lambda _: stay.wait(60))
    took = time.monotonic() - begun
    stay.set()
    assert "a done-callback has not returned" in caplog.text
    assert took < 30  # far from the minute that the callback would have taken


def test_no_thread_is_left_not_even_for_a_moment() -> None:
    before = set(threading.enumerate())
    for _ in range(3):
        with Playground().play(workers=[Noting("ada")]) as stage:
            stage.on("task.completed", lambda event: None)
            stage.submit(Task(processor="worker")).add_done_callback(lambda handle: None)
        assert set(threading.enumerate()) <= before
