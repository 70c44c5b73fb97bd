"""Several workers of one kind, and one worker with several slots."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from callboard import Playground, ProcessWorker, Task, TaskHandle
from tests.playground.crew import AsyncSleeper, Deaf, Sleeper, Tally


def pool(kind: str, tally: Tally) -> list[ProcessWorker]:
    if kind == "three workers":
        return [Sleeper(f"Worker-{number}", tally=tally) for number in range(3)]
    return [{"three threads": Sleeper, "three coroutines": AsyncSleeper}[kind]("solo", slots=3, tally=tally)]


@pytest.mark.parametrize("kind", ["three workers", "three threads", "three coroutines"])
def test_six_tasks_of_half_a_second_take_a_second(kind: str, tally: Tally) -> None:
    with Playground().play(workers=pool(kind, tally)) as stage:
        begun = time.monotonic()
        handles = [stage.submit(Task(f"task {number}", "worker", {"data": 0.5})) for number in range(6)]
        results = [handle.result(20) for handle in handles]
        took = time.monotonic() - begun
    assert 0.99 <= took < 1.6
    assert all(result.success and 0.5 <= result.duration < 1.0 for result in results)
    assert Counter(result.worker for result in results) == (
        {f"Worker-{n}": 2 for n in range(3)} if kind == "three workers" else {"solo": 6}
    )
    tally.once(results)


def test_a_batch_gathered_as_the_tutorial_does(tally: Tally) -> None:
    async def main() -> list[Any]:
        async with Playground().play(workers=[AsyncSleeper("solo", slots=4, tally=tally), Sleeper("other", tally=tally)]) as playground:
            batch = [Task(name=f"Batch-{i}", processor="worker", input_data={"batch_id": i, "data": 0.01}) for i in range(40)]
            return list(await asyncio.gather(*[playground.add_and_execute_task(task) for task in batch]))

    results = asyncio.run(main())
    assert [result.name for result in results] == [f"Batch-{i}" for i in range(40)]
    assert all(result.success for result in results)
    tally.once(results)


def test_no_short_task_waits_behind_a_long_one(tally: Tally, tmp_path: Path) -> None:
    def order(name: str, **data: Any) -> Task:
        return Task(name, "worker", {"begun": str(tmp_path / "begun"), **data})

    with Playground().play(workers=[Deaf("ada", tally=tally), Deaf("bob", tally=tally)]) as stage:
        [stage.submit(order("quick", seconds=0.0)).result(20) for _ in range(50)]  # they look quick by now
        handles: list[TaskHandle] = []
        for number in range(2):
            end = tmp_path / f"end-{number}"
            long = stage.submit(order("long", until=str(end)))
            shorts = [stage.submit(order("short", seconds=0.0)) for _ in range(10)]
            assert all(short.result(20).success for short in shorts) and not long.done()
            end.touch()
            assert long.result(20).success
            handles += [long, *shorts]
    tally.once(handles)


def test_many_small_tasks_from_many_threads(tally: Tally) -> None:
    import threading

    handles: list[TaskHandle] = []
    with Playground().play(workers=[Sleeper("ada", slots=2), Sleeper("bob")]) as stage:

        def post() -> None:
            handles.extend([stage.submit(Task(processor="worker", input_data={"data": 0.0})) for _ in range(500)])

        threads = [threading.Thread(target=post) for _ in range(4)]
        [thread.start() for thread in threads]  # type: ignore[func-returns-value]
        [thread.join() for thread in threads]  # type: ignore[func-returns-value]
    assert len(handles) == 2000 and len({handle.task_id for handle in handles}) == 2000
    assert all(handle.result().success and handle.result().attempts == 1 for handle in handles)
