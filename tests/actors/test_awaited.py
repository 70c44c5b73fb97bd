"""What `add_and_execute_task` gives: a future of the running loop that serves as a coroutine, too."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Coroutine
from typing import Any

import pytest

from callboard import Playground, Task, TaskResult, TaskStatus, task
from callboard.messages.errors import CannotPickle, DuplicateTask, InvalidSetting


@task
def double(number: int) -> int:
    return 2 * number


@task
def rest(seconds: float) -> None:
    threading.Event().wait(seconds)


@task
async def doze() -> None:
    await asyncio.sleep(60)


def outputs(results: list[TaskResult]) -> list[Any]:
    return [result.unwrap() for result in results]


def test_whatever_the_loop_offers_awaits_it() -> None:
    async def run() -> None:
        async with Playground().play(workers=2) as stage:

            def doubled(number: int) -> Coroutine[Any, Any, TaskResult]:
                return stage.add_and_execute_task(double.task(number))

            assert (await doubled(1)).unwrap() == 2
            assert outputs(await asyncio.gather(*[doubled(number) for number in range(300)])) == list(range(0, 600, 2))
            assert (await asyncio.create_task(doubled(3))).unwrap() == 6
            assert (await asyncio.wait_for(doubled(4), 30)).unwrap() == 8
            assert (await asyncio.shield(asyncio.ensure_future(doubled(5)))).unwrap() == 10
            async with asyncio.TaskGroup() as group:
                grouped = [group.create_task(doubled(number)) for number in range(5)]
            assert outputs([each.result() for each in grouped]) == [0, 2, 4, 6, 8]
            ended = [(await each).unwrap() for each in asyncio.as_completed([doubled(6), doubled(7)])]
            assert sorted(ended) == [12, 14]
            twice = doubled(8)
            assert (await twice).unwrap() == 16 and asyncio.iscoroutine(twice)

    asyncio.run(run())


def test_before_there_is_a_loop_it_waits_for_one() -> None:
    with Playground().play(workers=1) as stage:
        assert asyncio.run(stage.add_and_execute_task(double.task(4))).unwrap() == 8
        assert asyncio.run(stage.add_and_execute_task(double.task(5))).unwrap() == 10  # in another loop


def test_cancelling_what_awaits_it_cancels_the_task() -> None:
    async def run() -> None:
        async with Playground().play(workers=1) as stage:
            busy = stage.submit(rest.task(0.6))
            waiting = [stage.add_and_execute_task(Task("waiting", processor="python")) for _ in range(4)]
            first = asyncio.ensure_future(waiting[0])
            first.cancel()
            second = asyncio.create_task(waiting[1])
            await asyncio.sleep(0)
            second.cancel()
            third = asyncio.create_task(waiting[3])
            third.cancel()  # before its first step
            for each in (first, second, third):
                with pytest.raises(asyncio.CancelledError):
                    await each
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(waiting[2], 0.01)
            known = [getattr(each, "task_id") for each in waiting]  # noqa: B009
            assert [stage.task_manager.get_task(task_id).status for task_id in known] == [TaskStatus.CANCELLED] * 4
            assert (await busy).success

    asyncio.run(run())


def test_it_may_be_waited_for_again_and_in_several_ways() -> None:
    async def run() -> None:
        async with Playground().play(workers=1) as stage:
            called: list[str] = []
            slow = asyncio.ensure_future(stage.add_and_execute_task(rest.task(0.2)))
            slow.add_done_callback(lambda done: called.append("slow"))
            quick = asyncio.ensure_future(stage.add_and_execute_task(double.task(1)))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(slow), 0.001)  # which then waits for it no longer
            both, again = asyncio.gather(slow, quick), asyncio.gather(quick, slow)
            first, second = [list(results) for results in await asyncio.gather(both, again)]
            assert first == second[::-1] and outputs(first) == [None, 2] and called == ["slow"]
            assert [await each for each in asyncio.as_completed([slow, quick])] in (first, second)

            waiting = asyncio.ensure_future(stage.add_and_execute_task(doze.task()))
            gathered = asyncio.gather(waiting, return_exceptions=True)
            waiting.cancel()
            assert isinstance((await gathered)[0], asyncio.CancelledError)

    asyncio.run(run())


def test_what_was_gathered_goes_without_the_collector() -> None:
    async def run() -> None:
        async with Playground().play(workers=1) as stage:
            futures = [asyncio.ensure_future(stage.add_and_execute_task(double.task(number))) for number in range(3)]
            cancelled = asyncio.ensure_future(stage.add_and_execute_task(doze.task()))
            kept = [weakref.ref(future) for future in (*futures, cancelled)]
            gathered = asyncio.gather(*futures, cancelled, return_exceptions=True)
            gc.disable()
            try:
                cancelled.cancel()
                assert len(await gathered) == 4
                del futures, cancelled, gathered
                async with asyncio.timeout(20):
                    while any(each() is not None for each in kept):  # the thread that delivers may be about to let go of them
                        await asyncio.sleep(0.001)
            finally:
                gc.enable()

    asyncio.run(run())


def test_what_cannot_be_submitted_fails_where_it_is_awaited() -> None:
    async def run() -> None:
        async with Playground().play(workers=1) as stage:
            with pytest.raises(InvalidSetting, match="only a Task"):
                stage.add_and_execute_task(double)  # type: ignore[call-overload]
            results = await asyncio.gather(
                stage.add_and_execute_task(double.task(threading.Lock())),
                stage.add_and_execute_task(Task("once", id="mine")),
                stage.add_and_execute_task(Task("twice", id="mine")),
                stage.add_and_execute_task(double.task(1)),
                return_exceptions=True,
            )
            assert isinstance(results[0], CannotPickle) and isinstance(results[2], DuplicateTask)
            assert isinstance(results[3], TaskResult) and results[3].success
            assert isinstance(results[1], TaskResult) and results[1].task_id == "mine"

    asyncio.run(run())


def test_a_loop_that_has_ended_is_nobodys_trouble() -> None:
    with Playground().play(workers=1) as stage:

        async def leave() -> None:
            assert stage.add_and_execute_task(rest.task(0.1))

        asyncio.run(leave())
        assert stage.submit(double.task(1)).result().success
