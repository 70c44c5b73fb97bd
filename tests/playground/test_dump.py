"""Where each worker's Python stands, as its own process tells it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from callboard import Playground, ProcessRequest, ProcessWorker, Task, connect
from tests.playground.crew import until


class Digger(ProcessWorker):
    """Stands where it is told to, until a file is there."""

    def process(self, request: ProcessRequest) -> Any:
        place, end = request.data
        if place == "coroutine":
            return self.outer(end)
        Path(f"{end}.begun").touch()
        if place == "helper":
            helper = threading.Thread(target=dig_deep, args=(end,), name="helper")
            helper.start()
            helper.join()
        else:
            dig_deep(end)
        return place

    async def outer(self, end: str) -> str:
        Path(f"{end}.begun").touch()
        await self.inner(end)
        return "coroutine"

    async def inner(self, end: str) -> None:
        while not os.path.exists(end):
            await asyncio.sleep(0.005)


def dig_deep(end: str) -> None:
    while not os.path.exists(end):
        time.sleep(0.005)


@pytest.fixture
def stage() -> Iterator[Playground]:
    with Playground().play([Digger("ann", "dig"), Digger("bea", "rest")]) as stage:
        yield stage


def digging(stage: Playground, place: str, tmp_path: Path) -> tuple[Any, Path]:
    end = tmp_path / place
    handle = stage.submit(Task("hole", "dig", {"data": (place, str(end))}))
    until((tmp_path / f"{place}.begun").exists, "the beginning of the task")
    return handle, end


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("thread", ["in process", "in dig_deep"]),
        ("helper", ["thread helper:", "in dig_deep"]),
        ("coroutine", ["coroutine ", "in outer", "in inner"]),
    ],
)
def test_the_stack_of_a_task_is_shown_from_the_persons_code_on(stage: Playground, tmp_path: Path, place: str, expected: list[str]) -> None:
    handle, end = digging(stage, place, tmp_path)
    rows = {row["name"]: row for row in stage.task_manager.dump()}
    end.touch()
    assert handle.result(20).output == place
    text = rows["ann"]["text"]
    assert f"1 running, 0 waiting\ntask 'hole' ({handle.task_id}) for " in text
    for words in expected:
        assert words in text
    assert "callboard/actors" not in text
    assert rows["bea"]["text"] == "0 running, 0 waiting\n"
    assert {row["pid"] for row in rows.values()} == {view.pid for view in stage.workers}


def stopped(pid: int) -> bool:
    """Whether all threads of a process have stopped, which they do a moment after they were told to."""
    states = [(thread / "stat").read_text().rpartition(")")[2].split()[0] for thread in Path(f"/proc/{pid}/task").iterdir()]
    return set(states) == {"T"}


def test_a_worker_that_cannot_answer_has_no_text_and_keeps_nobody_waiting(stage: Playground) -> None:
    (pid,) = [view.pid for view in stage.workers if view.name == "bea"]
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: stopped(pid), "the worker's stop")
        rows = {row["name"]: row["text"] for row in stage.task_manager.dump()}
    finally:
        os.kill(pid, signal.SIGCONT)
    assert rows["ann"] is not None
    assert rows["bea"] is None


def test_nobody_is_a_quick_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_port: Callable[[], int]) -> None:
    monkeypatch.setenv("CALLBOARD_HOME", str(tmp_path))
    with Playground(port=free_port()).play(0) as stage:
        assert stage.task_manager.dump() == []
        assert stage.address is not None
        with connect(stage.address) as client:
            assert client.task_manager.dump() == []


def test_local_workers_have_joined_in_the_order_in_which_they_were_given() -> None:
    names = [f"w{number}" for number in range(6)]
    for order in (names, names[::-1]):
        with Playground().play([ProcessWorker(name, "idle") for name in order]) as stage:
            assert [view.name for view in stage.workers] == order
