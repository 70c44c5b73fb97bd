"""Cancelling a task before it runs, while it runs and after it ended."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from callboard import Playground, ProcessRequest, ProcessWorker, RetryPolicy, Task, TaskCancelled, TaskStatus, task
from tests.playground.crew import Deaf, Noting, Obedient, Tally, Waiting, begun, note, until


class Stubborn(ProcessWorker):
    """Async code that swallows its cancellation."""

    async def process(self, request: ProcessRequest) -> str:
        note(request.input_data["begun"], request.id)
        for _ in range(2000):
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                note(request.input_data["begun"], "swallowed")
            if request.cancelled:
                return "late"
        return "never"


@pytest.fixture(scope="module")
def stage(module_tally: Tally) -> Iterator[Playground]:
    crew: list[ProcessWorker] = [
        Obedient("obedient", "obedient", tally=module_tally),
        Deaf("deaf", "deaf", tally=module_tally),
        Waiting("waiting", "waiting", tally=module_tally, slots=2),
        Stubborn("stubborn", "stubborn"),
        Noting("echo", "echo", tally=module_tally),
    ]
    with Playground().play(workers=crew) as playground:
        yield playground


@pytest.fixture
def mark(tmp_path: Path) -> str:
    return str(tmp_path / "begun")


def test_before_it_runs(stage: Playground, mark: str, module_tally: Tally, tmp_path: Path) -> None:
    running = stage.submit(Task("first", "deaf", {"begun": mark, "until": str(tmp_path / "end")}))
    begun(mark)
    queued = stage.submit(Task("second", "deaf", {"begun": mark, "seconds": 0.0}))
    assert queued.cancel() is True
    result = queued.result(5)
    assert result.status is TaskStatus.CANCELLED and not result.success and result.attempts == 0 and result.output is None
    assert queued.cancelled() and queued.done() and queued.cancel() is False
    (tmp_path / "end").touch()
    assert running.result(20).success
    assert module_tally.counts()[queued.task_id] == 0
    with pytest.raises(TaskCancelled, match="second"):
        result.unwrap()


def test_before_it_runs_though_it_was_sent_ahead(stage: Playground, mark: str, module_tally: Tally, tmp_path: Path) -> None:
    for _ in range(30):  # so that its worker's tasks look quick, and some are sent before it asks for them
        assert stage.submit(Task("quick", "deaf", {"begun": mark, "seconds": 0.0})).result(20).success
    running = stage.submit(Task("first", "deaf", {"begun": str(tmp_path / "first"), "until": str(tmp_path / "end")}))
    begun(tmp_path / "first")
    queued = stage.submit(Task("second", "deaf", {"begun": mark, "seconds": 0.0}))
    until(lambda: "it waits behind 1 other(s) on worker 'deaf'" in stage.explain(queued.task_id), "the second task's arrival")
    assert queued.cancel() is True
    result = queued.result(5)
    assert result.status is TaskStatus.CANCELLED and result.attempts == 0 and not running.done()
    (tmp_path / "end").touch()
    assert running.result(20).success
    assert module_tally.counts()[queued.task_id] == 0


def test_while_it_waits_for_a_dependency(stage: Playground) -> None:
    handle = stage.submit(Task("waits", "echo", dependencies=["nobody-will-submit-this"]))
    assert handle.cancel() and handle.result(5).status is TaskStatus.CANCELLED


def test_while_nobody_can_take_it(stage: Playground) -> None:
    handle = stage.submit(Task("nobody", "no such role"))
    assert handle.status is TaskStatus.PENDING
    assert handle.cancel() and handle.result(5).status is TaskStatus.CANCELLED


def test_while_it_waits_to_be_tried_again(stage: Playground) -> None:
    @task(retry_policy=RetryPolicy(max_attempts=5, initial_delay_seconds=30), processor="echo")
    def fails() -> None:
        raise ValueError("again, please")

    handle = stage.submit(fails.task())
    until(lambda: stage.task_manager.get_task(handle.task_id).attempts == 1 and handle.status is TaskStatus.PENDING, "the retry wait")
    assert handle.cancel()
    assert handle.result(5).status is TaskStatus.CANCELLED and handle.result().attempts == 1


def test_while_it_runs_and_looks(stage: Playground, mark: str, module_tally: Tally) -> None:
    handle = stage.submit(Task("obeys", "obedient", {"begun": mark}))
    begun(mark)
    assert handle.running() and handle.status is TaskStatus.RUNNING
    assert handle.cancel() is True
    result = handle.result(10)
    assert result.status is TaskStatus.CANCELLED and result.attempts == 1 and result.output is None
    assert stage.submit(Task("next", "obedient", {"begun": mark, "data": 0})).cancel()
    module_tally.once([handle])


def test_while_it_awaits(stage: Playground, mark: str) -> None:
    first, second = (stage.submit(Task(name, "waiting", {"begun": mark})) for name in ("one", "two"))
    begun(mark, 2)
    assert first.cancel()
    assert first.result(10).status is TaskStatus.CANCELLED
    assert second.status is TaskStatus.RUNNING
    assert second.cancel() and second.result(10).status is TaskStatus.CANCELLED


def test_async_code_that_swallows_it_still_ends_cancelled(stage: Playground, mark: str) -> None:
    handle = stage.submit(Task("stubborn", "stubborn", {"begun": mark}))
    begun(mark)
    assert handle.cancel()
    assert handle.result(10).status is TaskStatus.CANCELLED


def test_plain_code_that_does_not_look_runs_on_without_force(stage: Playground, mark: str, tmp_path: Path) -> None:
    handle = stage.submit(Task("deaf", "deaf", {"begun": mark, "until": str(tmp_path / "end")}))
    begun(mark)
    assert handle.cancel() is True
    with pytest.raises(TimeoutError):
        handle.result(0.3)
    (tmp_path / "end").touch()
    assert handle.result(10).status is TaskStatus.CANCELLED


def test_plain_code_is_stopped_by_force_and_its_process_replaced(stage: Playground, mark: str, module_tally: Tally) -> None:
    handle = stage.submit(Task("deaf", "deaf", {"begun": mark}))
    begun(mark)
    pid = int(Path(mark).read_text().split()[1])
    before = time.monotonic()
    assert handle.cancel(force=True) is True
    result = handle.result(10)
    assert time.monotonic() - before < 8
    assert result.status is TaskStatus.CANCELLED and result.worker == "deaf"
    again = stage.submit(Task("next", "deaf", {"begun": mark, "seconds": 0.0}))
    assert again.result(20).success
    until(lambda: not _alive(pid), "the end of the old process")
    module_tally.once([handle, again])


def test_force_leaves_the_other_slots_their_work(mark: str, tally: Tally) -> None:
    with Playground().play(workers=[Deaf("two", "deaf", slots=2, tally=tally)]) as stage:
        stuck = stage.submit(Task("stuck", "deaf", {"begun": mark}))
        begun(mark)
        good = stage.submit(Task("good", "deaf", {"begun": mark, "seconds": 0.5}))
        begun(mark, 2)
        assert stuck.cancel(force=True)
        assert good.result(20).success and good.result().attempts == 1
        assert stuck.result(20).status is TaskStatus.CANCELLED
        tally.once([stuck, good])


def test_after_it_ended(stage: Playground) -> None:
    handle = stage.submit(Task("quick", "echo", {"data": 1}))
    assert handle.result(20).output == 1
    assert handle.cancel() is False and handle.cancel(force=True) is False
    assert handle.result().success and not handle.cancelled()


def test_cancelling_an_await_of_add_and_execute_cancels_the_task(stage: Playground, mark: str) -> None:
    async def main() -> str:
        work = Task("awaited", "waiting", {"begun": mark})
        awaiting = asyncio.ensure_future(stage.add_and_execute_task(work))
        await asyncio.to_thread(begun, mark)
        awaiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await awaiting
        return str(work.id)

    task_id = asyncio.run(main())
    until(lambda: stage.task_manager.get_task(task_id).status is TaskStatus.CANCELLED, "the cancellation")


def test_cancelling_an_await_of_a_handle_leaves_the_task_alone(stage: Playground, mark: str) -> None:
    async def main() -> None:
        handle = await stage.add_and_execute_task(Task("kept", "waiting", {"begun": mark, "seconds": 1.0}), wait_for_completion=False)

        async def wait() -> object:
            return await handle

        awaiting = asyncio.ensure_future(wait())
        await asyncio.to_thread(begun, mark)
        awaiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await awaiting
        assert (await handle).output == "done"

    asyncio.run(main())


def test_a_cancelled_future_of_the_executor_raises(stage: Playground) -> None:
    with Playground().play(workers=0) as empty:
        future = empty.executor.submit(print)
        assert future.cancel() and future.cancelled()
        with pytest.raises(CancelledError):
            future.result(5)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
