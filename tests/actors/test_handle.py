"""The handle: a standard future that is finished in batches and can be awaited."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from typing import Any

import pytest

from callboard.actors.client import Client
from callboard.actors.ended import Ended
from callboard.actors.handle import TaskHandle, settle_all
from callboard.messages.payload import dumps
from callboard.messages.result import TaskResult
from callboard.messages.status import TaskStatus
from tests.playground.crew import until

COMPLETED, FAILED, CANCELLED = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    made = Client()
    yield made
    made.errands.stop(5)


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Lets threads change over as often as they can, so that they meet in every place."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def make(client: Client, number: int = 1) -> TaskHandle:
    return TaskHandle(client, f"task-{number}", f"name {number}")


def ending(handle: TaskHandle, status: TaskStatus = COMPLETED, output: Any = None) -> Ended:
    ended = Ended(handle.task_id, handle.name, None if status is COMPLETED else "not done", None, status)
    payload = dumps(output, "an output")
    assert isinstance(payload, bytes)
    ended.output = payload if status is COMPLETED else None
    return ended


def settle(*handles: TaskHandle, status: TaskStatus = COMPLETED, output: Any = None) -> None:
    for call in settle_all([(handle, ending(handle, status, output)) for handle in handles]):
        call()


def test_before_and_after(client: Client) -> None:
    handle = make(client)
    assert not handle.done() and not handle.cancelled() and "open" in repr(handle)
    with pytest.raises(TimeoutError, match="name 1"):
        handle.result(0)
    with pytest.raises(TimeoutError):
        handle.result(-1)
    with pytest.raises(TimeoutError):
        handle.exception(0.01)
    settle(handle, output=[1, 2])
    assert handle.done() and not handle.cancelled() and not handle.running() and handle.status is COMPLETED
    result = handle.result()
    assert isinstance(result, TaskResult) and result.output == [1, 2] and handle.result(0) is result
    assert handle.exception() is None and handle.cancel() is False and "completed" in repr(handle)


@pytest.mark.parametrize("status", [FAILED, CANCELLED, TaskStatus.SKIPPED])
def test_result_never_raises_for_a_task_that_did_not_complete(client: Client, status: TaskStatus) -> None:
    handle = make(client)
    settle(handle, status=status)
    assert handle.result().status is status and handle.exception() is None and handle.cancelled() is (status is CANCELLED)

    async def main() -> Any:
        return await handle

    assert asyncio.run(main()) is handle.result()


def test_it_is_finished_by_the_manager_alone(client: Client) -> None:
    handle = make(client)
    for call in (lambda: handle.set_result(1), lambda: handle.set_exception(ValueError()), handle.set_running_or_notify_cancel):
        with pytest.raises(RuntimeError, match="manager"):
            call()


def test_many_threads_may_wait_for_one(client: Client) -> None:
    handle = make(client)
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(handle.result(20))) for _ in range(8)]
    [thread.start() for thread in threads]  # type: ignore[func-returns-value]
    settle(handle, output=7)
    [thread.join(20) for thread in threads]  # type: ignore[func-returns-value]
    assert len(results) == 8 and {result.output for result in results} == {7}


def test_a_handle_costs_little(client: Client) -> None:
    handles = [make(client, number) for number in range(1000)]
    assert sum(sys.getsizeof(handle) + sys.getsizeof(handle.__dict__) for handle in handles) / 1000 < 700
    assert not any("_made_condition" in handle.__dict__ for handle in handles)


def test_callbacks(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    handle = make(client)
    called: list[Any] = []
    handle.add_done_callback(called.append)
    handle.add_done_callback(lambda _: 1 / 0)
    handle.add_done_callback(lambda done: called.append(done.result().output))
    settle(handle, output="x")
    assert called == [handle, "x"] and "ZeroDivisionError" in caplog.text
    handle.add_done_callback(called.append)
    assert called == [handle, "x", handle]
    settle(handle, output="again")  # a second delivery would be a mistake of ours; callbacks at least are not repeated
    assert len(called) == 3


# -- the standard library ------------------------------------------------------------------------------


def test_wait_and_as_completed(client: Client) -> None:
    handles = [make(client, number) for number in range(4)]
    settle(handles[0])
    done, left = concurrent.futures.wait(handles, 0)
    assert done == {handles[0]} and left == set(handles[1:])
    threading.Timer(0.05, lambda: settle(*handles[1:3], status=FAILED)).start()
    done, left = concurrent.futures.wait(handles[1:], 10, concurrent.futures.FIRST_COMPLETED)
    assert done and handles[3] in left
    threading.Timer(0.05, lambda: settle(handles[3], status=CANCELLED)).start()
    assert set(concurrent.futures.as_completed(handles, 10)) == set(handles)
    assert concurrent.futures.wait(handles, 0).not_done == set()


def test_wrap_future(client: Client) -> None:
    async def main() -> Any:
        handle, cancelled = make(client, 1), make(client, 2)
        wrapped, other = asyncio.wrap_future(handle), asyncio.wrap_future(cancelled)
        threading.Thread(target=lambda: (settle(handle, output=3), settle(cancelled, status=CANCELLED))).start()  # type: ignore[func-returns-value]
        value = await wrapped
        with pytest.raises(asyncio.CancelledError):
            await other
        return value

    assert asyncio.run(main()).output == 3


@pytest.mark.parametrize("way", ["wait", "as_completed", "result", "callback"])
def test_racing_rounds(client: Client, quick_switches: None, full: bool, way: str) -> None:
    """Who blocks and who delivers meet at every point: nobody may wait for what has come."""
    rounds = 4000 if full else 250
    todo: Any = __import__("queue").SimpleQueue()

    def deliver() -> None:
        while (handles := todo.get()) is not None:
            for call in settle_all([(handle, ending(handle, output=1)) for handle in handles]):
                client.errands.run([call])

    deliverer = threading.Thread(target=deliver)
    deliverer.start()
    try:
        for number in range(rounds):
            handles = [make(client, number * 10 + each) for each in range(3)]
            todo.put(handles)
            if way == "wait":
                assert not concurrent.futures.wait(handles, 20).not_done
            elif way == "as_completed":
                assert len(list(concurrent.futures.as_completed(handles, 20))) == 3
            elif way == "result":
                assert [handle.result(20).output for handle in handles] == [1, 1, 1]
            else:
                called: list[Any] = []
                for handle in handles:
                    handle.add_done_callback(called.append)
                until(lambda called=called: len(called) == 3, "the callbacks")
    finally:
        todo.put(None)
        deliverer.join(20)


# -- awaiting -------------------------------------------------------------------------------------------


def test_awaits_of_several_loops(client: Client, quick_switches: None) -> None:
    handles = [make(client, number) for number in range(50)]
    sums: list[int] = []

    async def main() -> None:
        results = await asyncio.gather(*[_awaited(handle) for handle in handles])
        sums.append(sum(result.output for result in results))

    threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(4)]
    [thread.start() for thread in threads]  # type: ignore[func-returns-value]
    time.sleep(0.05)
    for start in range(0, 50, 5):
        settle(*handles[start : start + 5], output=2)
    [thread.join(20) for thread in threads]  # type: ignore[func-returns-value]
    assert sums == [100] * 4


async def _awaited(handle: TaskHandle) -> TaskResult:
    return await handle


def test_a_batch_wakes_a_loop_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        handles = [make(client, number) for number in range(100)]
        waiting = [asyncio.ensure_future(_awaited(handle)) for handle in handles]
        await asyncio.sleep(0)
        wakes = 0
        original = loop.call_soon_threadsafe

        def counted(*arguments: Any, **keywords: Any) -> Any:
            nonlocal wakes
            wakes += 1
            return original(*arguments, **keywords)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        settle(*handles, output=1)
        await asyncio.gather(*waiting)
        return wakes

    assert asyncio.run(main()) == 1


def test_cancelling_an_await_leaves_the_handle_alone(client: Client) -> None:
    async def main() -> Any:
        handle = make(client)
        awaiting = asyncio.ensure_future(_awaited(handle))
        other = asyncio.ensure_future(_awaited(handle))
        await asyncio.sleep(0)
        awaiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await awaiting
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_awaited(handle), 0.01)
        assert not handle.done()
        settle(handle, output=4)
        return (await other).output

    assert asyncio.run(main()) == 4


def test_a_loop_that_was_closed_harms_nobody(client: Client) -> None:
    handle = make(client)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_awaited(handle), 0.01)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    waiting = loop.create_task(_awaited(handle))
    loop.run_until_complete(asyncio.sleep(0))
    waiting.cancel()
    loop.run_until_complete(asyncio.gather(waiting, return_exceptions=True))
    loop.close()
    settle(handle, output=1)
    assert handle.result(0).output == 1


# -- odd outputs ----------------------------------------------------------------------------------------


def test_an_output_that_cannot_be_loaded_here(client: Client) -> None:
    handle = make(client)
    outcome = ending(handle)
    outcome.output = b"no pickle"
    settle_all([(handle, outcome)])
    result = handle.result(0)
    assert result.status is FAILED and "cannot be loaded here" in str(result.error) and result.failure is not None


def test_the_packed_output_is_let_go_once_it_is_loaded(client: Client) -> None:
    handle = make(client)
    settle(handle, output=list(range(100)))
    assert handle._told is not None
    handle.result()
    assert handle._told is None


# -- the client's side ----------------------------------------------------------------------------------


def test_what_is_open_ends_with_the_client() -> None:
    from callboard.messages.errors import PlaygroundClosed

    client = Client()
    handle = make(client)
    client._open[handle.task_id] = handle
    assert client.open_count == 1
    client.abandon(PlaygroundClosed("it is over"))
    assert client.open_count == 0
    result = handle.result(0)
    assert result.status is FAILED and "it is over" in str(result.error)
    assert result.failure is not None and result.failure.check(PlaygroundClosed)
    assert client.cancel("task-1") is False
    with pytest.raises(PlaygroundClosed, match="not begun"):
        assert client.link


def test_a_cancelled_handle_is_one_to_the_standard_library(client: Client) -> None:
    handle = make(client)
    settle(handle, status=CANCELLED)
    assert handle.cancelled() and handle.result().status is CANCELLED
    gc.collect()
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()
    handle.add_done_callback(lambda done: future.set_exception(CancelledError()))
    with pytest.raises(CancelledError):
        future.result(5)
