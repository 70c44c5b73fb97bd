"""Work that makes work: tasks that submit tasks and wait for them, with more of them than slots."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
from typing import Any

import pytest

from callboard import NoRequest, Playground, ProcessRequest, ProcessWorker, Task, TaskHandle, TaskStatus, WorkerDied, task
from tests.playground.crew import Noting, Tally

WIDTH = 2


def smaller(request: ProcessRequest) -> list[Task]:
    return [
        Task(f"{request.name}.{n}", request.task_type, {**request.input_data, "depth": request.input_data["depth"] - 1})
        for n in range(WIDTH)
    ]


class Branching(Noting):
    """Submits smaller tasks of its own kind, waits for them in the way it is told, and counts the leaves."""

    def work(self, request: ProcessRequest) -> int:
        if request.input_data["depth"] == 0:
            return 1
        handles = [request.submit(each) for each in smaller(request)]
        match request.input_data["way"]:
            case "result":
                return sum(handle.result(50).unwrap() for handle in handles)
            case "wait":
                done, left = concurrent.futures.wait(handles, 50)
                assert not left
                return sum(handle.result().unwrap() for handle in done)
            case "first":
                open_ones: set[concurrent.futures.Future[Any]] = set(handles)
                total = 0
                while open_ones:
                    done, open_ones = concurrent.futures.wait(open_ones, 50, concurrent.futures.FIRST_COMPLETED)
                    total += sum(handle.result().unwrap() for handle in done)
                return total
            case "as_completed":
                return sum(handle.result().unwrap() for handle in concurrent.futures.as_completed(handles, 50))
            case "exception":
                assert [handle.exception(50) for handle in handles] == [None] * WIDTH
                return sum(handle.result().unwrap() for handle in handles)
        raise ValueError(request.input_data["way"])


class AsyncBranching(Noting):
    """The same, awaiting."""

    async def work(self, request: ProcessRequest) -> int:
        if request.input_data["depth"] == 0:
            await asyncio.sleep(0)
            return 1
        handles = [request.submit(each) for each in smaller(request)]
        match request.input_data["way"]:
            case "await":
                results = [await handle for handle in handles]
            case "gather":
                results = list(await asyncio.gather(*handles))
            case "wait_for":
                results = [await asyncio.wait_for(handle, 50) for handle in handles]
            case "wrap_future":
                results = list(await asyncio.gather(*map(asyncio.wrap_future, handles)))
            case way:
                raise ValueError(way)
        return sum(result.unwrap() for result in results)


@pytest.mark.parametrize("way", ["result", "wait", "first", "as_completed", "exception"])
def test_three_levels_deep_on_one_slot(way: str, tally: Tally) -> None:
    with Playground().play(workers=[Branching("solo", "branch", tally=tally)]) as stage:
        handles = [stage.submit(Task(f"root {n}", "branch", {"depth": 3, "way": way})) for n in range(2)]
        results = [handle.result(50) for handle in handles]
        assert [result.output for result in results] == [8, 8]
        assert [(worker.load, worker.slots) for worker in stage.workers] == [(0, 1)]
    counts = tally.counts()
    assert len(counts) == 2 * 15 and set(counts.values()) == {1}


@pytest.mark.parametrize("way", ["await", "gather", "wait_for", "wrap_future"])
def test_three_levels_deep_awaited_on_one_slot(way: str, tally: Tally) -> None:
    with Playground().play(workers=[AsyncBranching("solo", "branch", tally=tally)]) as stage:
        handles = [stage.submit(Task(f"root {n}", "branch", {"depth": 3, "way": way})) for n in range(2)]
        assert [handle.result(50).output for handle in handles] == [8, 8]
    counts = tally.counts()
    assert len(counts) == 2 * 15 and set(counts.values()) == {1}


def test_many_waiting_tasks_over_several_workers_with_slots(tally: Tally) -> None:
    crew = [Branching("ada", "branch", slots=2, tally=tally), Branching("bob", "branch", tally=tally)]
    with Playground().play(workers=crew) as stage:
        handles = [stage.submit(Task(f"root {n}", "branch", {"depth": 3, "way": "result"})) for n in range(10)]
        assert [handle.result(50).output for handle in handles] == [8] * 10
    counts = tally.counts()
    assert len(counts) == 150 and set(counts.values()) == {1}


def test_the_block_waits_for_what_tasks_submitted_and_left_behind(tally: Tally) -> None:
    class Careless(Noting):
        def work(self, request: ProcessRequest) -> str:
            return request.submit(Task("left behind", "echo", {"data": 1})).task_id

    with Playground().play(workers=[Careless("ada", "careless", tally=tally), Noting("bob", "echo", tally=tally)]) as stage:
        handle = stage.submit(Task("cares not", "careless"))
    assert tally.counts() == {handle.task_id: 1, handle.result().output: 1}


def test_a_task_that_others_wait_for_may_fail() -> None:
    class Boss(ProcessWorker):
        def process(self, request: ProcessRequest) -> Any:
            result = request.submit(Task("fails", "boss", {"data": "fail"})).result(20) if request.data != "fail" else None
            if result is None:
                raise ValueError("no")
            return result.status, result.error

    with Playground().play(workers=[Boss("boss", "boss")]) as stage:
        status, error = stage.submit(Task("asks", "boss", {"data": "ask"})).result(20).output
    assert status is TaskStatus.FAILED and "no" in error


def test_a_task_that_kills_its_worker_after_it_waited_is_given_up(tally: Tally) -> None:
    class Deadly(Noting):
        def work(self, request: ProcessRequest) -> Any:
            if request.data == "inner":
                return 1
            request.submit(Task("inner", "deadly", {"data": "inner"})).result(20)
            os._exit(5)

    with Playground().play(workers=[Deadly("solo", "deadly", tally=tally)]) as stage:
        handle = stage.submit(Task("outer", "deadly", {"data": "outer"}))
        result = handle.result(30)
        assert result.failure is not None and result.failure.check(WorkerDied) and "exit code 5" in str(result.error)
        assert result.attempts == 3 and tally.counts()[handle.task_id] == 3
        assert stage.submit(Task("inner", "deadly", {"data": "inner"})).result(20).success


# -- carried code -----------------------------------------------------------------------------------


@task
def leaves(depth: int) -> int:
    if depth == 0:
        return 1
    request = ProcessRequest.current()
    handles = [request.submit(leaves.task(depth - 1)) for _ in range(WIDTH)]
    return sum(handle.result(50).unwrap() for handle in handles)


class Leaves(Task):
    def execute(self, depth: int) -> int:
        if depth == 0:
            return 1
        request = ProcessRequest.current()
        return sum(request.submit(Leaves(input_data={"depth": depth - 1})).result(50).unwrap() for _ in range(WIDTH))


def test_functions_and_task_classes_make_work_too() -> None:
    with Playground().play(workers=1) as stage:
        assert stage.submit(leaves.task(3)).result(50).output == 8
        assert stage.submit(Leaves(input_data={"depth": 3})).result(50).output == 8
        assert stage.executor.submit(leaves, 3).result(50) == 8


def test_outside_of_a_task_there_is_no_request() -> None:
    with pytest.raises(NoRequest, match="no task"):
        ProcessRequest.current()


# -- groups of tasks ----------------------------------------------------------------------------------


@task
def square(value: int) -> int:
    return value * value


@task
def sum_of_squares(count: int) -> int:
    request = ProcessRequest.current()
    group = request.fan_out([square.task(value) for value in range(count)], join=sum)
    return int(group.result(50).unwrap())


def test_a_group_inside_a_group() -> None:
    with Playground().play(workers=1) as stage:
        handle = stage.fan_out(sum_of_squares, [3, 4, 5], join=list)
        assert handle.result(50).output == [5, 14, 30]


def test_a_group_inside_a_group_awaited() -> None:
    class Async(ProcessWorker):
        async def process(self, request: ProcessRequest) -> Any:
            if request.data < 0:
                return -request.data
            group = request.fan_out(
                [Task(processor="async", input_data={"data": -value}) for value in range(1, request.data + 1)], join=sum
            )
            return (await group).unwrap()

    with Playground().play(workers=[Async("solo", "async")]) as stage:
        assert stage.fan_out("async", [1, 2, 3], join=list).result(50).output == [1, 3, 6]


def test_a_group_made_by_an_aggregator_of_a_group() -> None:
    with Playground().play(workers=2) as stage:

        def again(outputs: list[int]) -> TaskHandle:
            return stage.fan_out(square, outputs, join=sum)

        inner = stage.fan_out(square, [1, 2, 3], join=again).result(50).output
        assert inner.result(50).output == 1 + 16 + 81
