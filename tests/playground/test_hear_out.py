"""The end of a block: what handlers and callbacks still submit belongs to it, and their threads end with it."""

from __future__ import annotations

import asyncio
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


@pytest.mark.parametrize("leave", ["async with", "with, in a thread"])
def test_what_async_handlers_submit_after_they_have_waited_is_waited_for(no_leaks: None, leave: str) -> None:
    heard: list[str | None] = []

    def use(stage: Playground) -> None:
        async def again(event: Event) -> None:
            heard.append(event.name)
            await asyncio.sleep(0.05)  # so that the block is already being left
            if len(heard) == 1:
                stage.submit(Task("from a handler", "worker"))
            elif len(heard) == 2:
                stage.emit("word")

        async def later(event: Event) -> None:
            await asyncio.sleep(0.05)
            stage.submit(Task("from another", "worker"))

        stage.on("task.completed", again)
        stage.on("word", later)
        stage.submit(Task("first", "worker"))

    def block(loop: asyncio.AbstractEventLoop) -> None:
        used = threading.Event()
        with Playground().play(workers=[Noting("ada")]) as stage:
            loop.call_soon_threadsafe(lambda: (use(stage), used.set()))  # type: ignore[func-returns-value]
            assert used.wait(20)

    async def main() -> None:
        if leave == "async with":
            async with Playground().play(workers=[Noting("ada")]) as stage:
                use(stage)
        else:
            await asyncio.to_thread(block, asyncio.get_running_loop())

    asyncio.run(main())
    assert heard == ["first", "from a handler", "from another"]


def test_a_handler_of_a_loop_that_cannot_run_meanwhile_is_not_waited_for(no_leaks: None) -> None:
    began = time.monotonic()

    async def main() -> None:
        async def handler(event: Event) -> None:
            await asyncio.sleep(0)

        with Playground().play(workers=[Noting("ada")]) as stage:
            stage.on("task.completed", handler)
            stage.submit(Task("first", "worker"))

    asyncio.run(main())
    assert time.monotonic() - began < 8


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
