"""Fan-out and fan-in over real workers."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from callboard import (
    Aggregator,
    BacklogFull,
    Event,
    GroupFailed,
    InvalidSetting,
    InvalidTask,
    PayloadTooLarge,
    Playground,
    ProcessRequest,
    ProcessWorker,
    QuorumNotReached,
    Task,
    TaskResult,
    TaskStatus,
    task,
)
from tests.playground.crew import Noting, Tally, begun, note, until


class Counter(Noting):
    """Squares numbers; refuses those that are called bad."""

    def work(self, request: ProcessRequest) -> int:
        value = int(request.data)
        if value in (13, 14, 15):
            raise ValueError(f"{value} is bad")
        return value * value


class Gate(Noting):
    """Answers at once up to a number, and else waits for half a minute."""

    async def work(self, request: ProcessRequest) -> int:
        if request.data["value"] >= request.data["at once"]:
            note(request.data["begun"], request.id)
            await asyncio.sleep(30)
        return int(request.data["value"])


class Holding(Noting):
    """Ends when the file is there that is its data."""

    def work(self, request: ProcessRequest) -> str:
        until(Path(request.data).exists, "the word to end")
        return str(request.data)


class Folding(Aggregator):
    """Adds outputs up as they arrive, and remembers in which thread and how many."""

    def __init__(self) -> None:
        self.total = 0
        self.results: list[TaskResult] = []
        self.threads: set[int] = set()

    def add(self, result: TaskResult) -> None:
        self.threads.add(threading.get_ident())
        self.results.append(result)
        self.total += result.output if result.success else 0

    def finish(self) -> int:
        return self.total


@pytest.fixture(scope="module")
def stage(module_tally: Tally) -> Iterator[Playground]:
    crew: list[ProcessWorker] = [Counter("ada", "count", tally=module_tally), Counter("bob", "count", tally=module_tally)]
    crew += [Gate("eve", "gate", slots=10), *(ProcessWorker(f"plain {n}", "python") for n in range(2))]
    with Playground().play(workers=crew) as playground:
        yield playground


# -- a thousand -------------------------------------------------------------------------------------


def test_a_thousand_items_with_a_folding_aggregator(stage: Playground, module_tally: Tally) -> None:
    folding = Folding()
    values = [value for value in range(1003) if value not in (13, 14, 15)]
    before = len(module_tally.lines())
    handle = stage.fan_out("count", values, join=folding)
    result = handle.result(40)
    assert result.success and result.output == sum(value * value for value in values) and result.task_id == handle.task_id
    assert len(folding.results) == 1000 and len(folding.threads) == 1 and threading.get_ident() not in folding.threads
    assert {each.worker for each in folding.results} == {"ada", "bob"}
    assert len(module_tally.lines()) - before == 1000
    module_tally.once(folding.results)


def test_a_plain_join_gets_the_outputs_in_the_order_of_the_items(stage: Playground) -> None:
    values = [value for value in range(200) if value not in (13, 14, 15)]
    assert stage.fan_out("count", values, join=list).result(20).output == [value * value for value in values]
    assert stage.fan_out("count", values).result(20).output == [value * value for value in values]
    assert stage.fan_out("count", reversed(values), join=lambda outputs: outputs[0]).result(20).output == 199 * 199


def test_no_items_are_a_group_too(stage: Playground) -> None:
    assert stage.fan_out("count", [], join=sum).result(20).output == 0


# -- what work may be -------------------------------------------------------------------------------


@task
def double(value: int) -> int:
    return 2 * value


class Half(Task):
    def execute(self, value: int, times: int = 1) -> float:
        return value / 2 * times


def test_work_may_be_a_function_a_task_class_or_a_role(stage: Playground) -> None:
    assert stage.fan_out(double, [1, 2, 3], join=sum).result(20).output == 12
    assert stage.fan_out(lambda value: value + 1, [1, 2, 3], join=sum).result(20).output == 9
    assert stage.fan_out(len, ["a", "bb"], join=sum).result(20).output == 3
    assert stage.fan_out(Half, [1, 2], join=sum).result(20).output == 1.5
    items: list[Mapping[str, int]] = [{"value": 4, "times": 3}, {"value": 2}]
    assert stage.fan_out(Half, items).result(20).output == [6.0, 1.0]


def test_an_aggregator_may_be_given_by_its_class(stage: Playground) -> None:
    assert stage.fan_out(double, [1, 2], join=Folding).result(20).output == 6


def test_ceylons_way_an_aggregator_is_a_role_like_any_other() -> None:
    class Summing(ProcessWorker):
        def process(self, request: ProcessRequest) -> int:
            return sum(result.output for result in request.dependency_data.values())

    with Playground().play(workers=[Counter("ada", "count"), Summing("sum", role="aggregator")]) as stage:
        parts = [Task(f"part {value}", "count", {"data": value}) for value in (1, 2, 3)]
        handles = [stage.submit(part) for part in parts]
        whole = stage.submit(Task(name="Aggregate Results", processor="aggregator", dependencies={part.id for part in parts}))
        assert whole.result(20).output == 14 and all(handle.result().attempts == 1 for handle in handles)


# -- three fail --------------------------------------------------------------------------------------

VALUES = range(30)
GOOD = sum(value * value for value in VALUES if value not in (13, 14, 15))


def test_three_fail_under_raise(stage: Playground) -> None:
    result = stage.fan_out("count", VALUES, join=sum).result(20)
    assert result.status is TaskStatus.FAILED and result.output is None
    assert result.failure is not None and result.failure.check(ValueError) and "is bad" in str(result.error)
    with pytest.raises(Exception, match="is bad"):
        result.unwrap()


def test_three_fail_under_skip(stage: Playground) -> None:
    assert stage.fan_out("count", VALUES, join=sum, on_error="skip").result(20).output == GOOD
    folding = Folding()
    assert stage.fan_out("count", VALUES, join=folding, on_error="skip").result(20).output == GOOD
    assert len(folding.results) == 27


def test_three_fail_under_collect(stage: Playground) -> None:
    folding = Folding()
    assert stage.fan_out("count", VALUES, join=folding, on_error="collect").result(20).output == GOOD
    bad = [each for each in folding.results if not each.success]
    assert len(folding.results) == 30 and len(bad) == 3 and all(each.failure and each.failure.check(ValueError) for each in bad)
    outputs = stage.fan_out("count", VALUES, join=list, on_error="collect").result(20).output
    assert [index for index, output in enumerate(outputs) if isinstance(output, TaskResult)] == [13, 14, 15]


def test_raise_cancels_the_rest(stage: Playground, tmp_path: Path) -> None:
    mark = str(tmp_path / "begun")
    items = [{"value": value, "at once": 0, "begun": mark} for value in range(3)] + ["no mapping"]
    handle = stage.fan_out("gate", items, join=sum)
    result = handle.result(20)
    assert result.status is TaskStatus.FAILED
    until(lambda: all(worker.load == 0 for worker in stage.workers), "the end of the rest")


def test_every_item_fails(stage: Playground) -> None:
    assert stage.fan_out("count", [13, 14], join=sum, on_error="skip").result(20).output == 0
    failed = stage.fan_out("nobody has this role", [1], join=sum, timeout=0.1).result(20)
    assert failed.success and failed.output == 0


# -- quorum, timeout, cancelling -----------------------------------------------------------------------


def gate_items(tmp_path: Path, count: int, at_once: int) -> list[dict[str, Any]]:
    return [{"value": value, "at once": at_once, "begun": str(tmp_path / "begun")} for value in range(count)]


def test_a_quorum_of_five_of_ten_answers_at_once_and_cancels_the_rest(stage: Playground, tmp_path: Path) -> None:
    heard: list[Event] = []
    listening = stage.on("task.cancelled", heard.append)
    folding = Folding()
    before = time.monotonic()
    handle = stage.fan_out("gate", gate_items(tmp_path, 10, 5), join=folding, quorum=5)
    result = handle.result(20)
    assert time.monotonic() - before < 10
    assert result.success and result.output == 0 + 1 + 2 + 3 + 4 and len(folding.results) == 5
    until(lambda: len(heard) == 5, "the cancelling of the rest")
    until(lambda: all(worker.load == 0 for worker in stage.workers), "the end of the rest")
    listening.cancel()


def test_a_quorum_allows_for_failures(stage: Playground) -> None:
    outputs = stage.fan_out("count", [12, 13, 14, 16], join=sorted, quorum=2).result(20).output
    assert outputs == [144, 256]


def test_a_quorum_that_is_out_of_reach_fails(stage: Playground) -> None:
    result = stage.fan_out("count", [12, 13, 14, 15], join=list, quorum=2).result(20)
    assert result.status is TaskStatus.FAILED and "quorum of 2" in str(result.error)
    assert result.failure is not None and (result.failure.check(QuorumNotReached) or result.failure.check(ValueError))


def test_a_timeout_keeps_what_has_come(stage: Playground, tmp_path: Path) -> None:
    before = time.monotonic()
    result = stage.fan_out("gate", gate_items(tmp_path, 6, 4), join=list, timeout=1.0).result(20)
    assert 0.95 <= time.monotonic() - before < 5
    assert result.success and result.output == [0, 1, 2, 3]
    begun(tmp_path / "begun", 2)
    until(lambda: all(worker.load == 0 for worker in stage.workers), "the end of the rest")


def test_a_timeout_short_of_the_quorum_fails(stage: Playground, tmp_path: Path) -> None:
    result = stage.fan_out("gate", gate_items(tmp_path, 6, 4), join=list, quorum=5, timeout=0.3).result(20)
    assert result.failure is not None and result.failure.check(QuorumNotReached) and "when the time was up" in str(result.error)


def test_a_group_can_be_cancelled(stage: Playground, tmp_path: Path) -> None:
    handle = stage.fan_out("gate", gate_items(tmp_path, 4, 0), join=list)
    begun(tmp_path / "begun", 4)
    assert handle.status is TaskStatus.RUNNING and not handle.done()
    assert handle.cancel() is True
    result = handle.result(20)
    assert result.status is TaskStatus.CANCELLED and handle.cancelled() and handle.cancel() is False
    until(lambda: all(worker.load == 0 for worker in stage.workers), "the end of the items")


# -- joins and handles -----------------------------------------------------------------------------------


def test_a_join_that_raises_fails_the_group(stage: Playground) -> None:
    def broken(outputs: list[int]) -> None:
        raise RuntimeError(f"cannot join {len(outputs)}")

    result = stage.fan_out("count", [1, 2], join=broken).result(20)
    assert result.status is TaskStatus.FAILED and "cannot join 2" in str(result.error)
    assert result.failure is not None and result.failure.check(RuntimeError)


def test_an_aggregator_that_raises_fails_the_group_and_stops_it(stage: Playground) -> None:
    class Broken(Aggregator):
        def add(self, result: TaskResult) -> None:
            raise RuntimeError("no more")

        def finish(self) -> None: ...

    result = stage.fan_out("count", range(12), join=Broken()).result(20)
    assert result.status is TaskStatus.FAILED and "no more" in str(result.error)


def test_the_output_need_not_be_picklable(stage: Playground) -> None:
    output = stage.fan_out("count", [1, 2], join=lambda outputs: (value for value in outputs)).result(20).output
    assert list(output) == [1, 4]


def test_a_groups_handle_is_a_future_that_can_be_awaited(stage: Playground) -> None:
    groups = [stage.fan_out("count", range(number), join=sum) for number in range(5)]
    done, left = concurrent.futures.wait(groups, 20)
    assert not left and sum(group.result().output for group in done) == 0 + 0 + 1 + 5 + 14

    async def main() -> list[Any]:
        results = await asyncio.gather(*[stage.fan_out("count", range(number), join=sum) for number in range(4)])
        return [result.output for result in results]

    assert asyncio.run(main()) == [0, 0, 1, 5]


def test_the_end_of_a_group_is_an_event(stage: Playground) -> None:
    heard: list[Event] = []
    listening = stage.on("group.completed", heard.append)
    handle = stage.fan_out("count", [1, 2], join=sum)
    handle.result(20)
    until(lambda: heard, "the event of the group")
    assert heard[0].data["group"] == handle.task_id and heard[0].data["status"] == "completed"
    listening.cancel()


def test_the_block_waits_for_its_groups(tally: Tally) -> None:
    joined = []

    def join(outputs: list[int]) -> int:
        time.sleep(0.2)
        joined.append(sum(outputs))
        return joined[0]

    with Playground().play(workers=[Counter("ada", "count", tally=tally)]) as stage:
        handle = stage.fan_out("count", range(10), join=join)
    assert handle.result(0).output == sum(n * n for n in range(10)) == joined[0]


def test_leaving_by_an_exception_ends_groups_too(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Playground().play(workers=[Gate("eve", "gate", slots=3)]) as stage:
        handle = stage.fan_out("gate", gate_items(tmp_path, 3, 0), join=list)
        begun(tmp_path / "begun", 3)
        raise ZeroDivisionError
    assert handle.result(5).status in (TaskStatus.FAILED, TaskStatus.CANCELLED)


# -- the backlog ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 3])
def test_a_group_waits_for_room_in_the_backlog(tmp_path: Path, limit: int) -> None:
    end = tmp_path / "end"
    handles: list[Any] = []
    with Playground(max_backlog=limit).play(workers=[Holding("ada", "hold", slots=5)]) as stage:
        fanning = threading.Thread(target=lambda: handles.append(stage.fan_out("hold", [str(end)] * 10)))
        fanning.start()
        until(lambda: stage.task_manager.overview()["open"] == limit, "the first items")
        fanning.join(0.2)
        assert fanning.is_alive() and stage.task_manager.overview()["open"] == limit
        end.touch()
        fanning.join(20)
        assert handles[0].result(20).output == [str(end)] * 10


def test_a_group_that_may_not_wait_for_room_is_cancelled(tmp_path: Path, tally: Tally) -> None:
    crew = [Gate("eve", "gate", slots=3, tally=tally)]
    with Playground(max_backlog=3, when_full="raise").play(workers=crew) as stage:
        with pytest.raises(BacklogFull, match="3 tasks are open"):
            stage.fan_out("gate", gate_items(tmp_path, 4, 0))
        until(lambda: stage.task_manager.overview()["open"] == 0, "the end of the three")

        async def main() -> Any:
            with pytest.raises(BacklogFull):
                stage.fan_out("gate", gate_items(tmp_path, 4, 0))
            until(lambda: stage.task_manager.overview()["open"] == 0, "the end of the three")
            return (await stage.fan_out("gate", gate_items(tmp_path, 3, 3))).output

        assert asyncio.run(main()) == [0, 1, 2]


def test_a_group_that_has_failed_submits_no_more(tally: Tally) -> None:
    with Playground(max_backlog=2).play(workers=[Counter("ada", "count", tally=tally)]) as stage:
        result = stage.fan_out("count", [13, *range(16, 1016)], join=sum).result(20)
        assert result.status is TaskStatus.FAILED and "13 is bad" in str(result.error)
    assert len(tally.lines()) < 500


# -- what cannot work ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"on_error": "ignore"}, InvalidSetting, "on_error"),
        ({"quorum": 4}, InvalidSetting, "quorum"),
        ({"quorum": 0}, InvalidSetting, "quorum"),
        ({"timeout": -1}, InvalidSetting, "timeout"),
        ({"timeout": "soon"}, InvalidSetting, "timeout"),
        ({"join": 7}, InvalidTask, "join"),
    ],
)
def test_what_cannot_work_is_refused_at_once(
    stage: Playground, module_tally: Tally, arguments: Any, error: type[Exception], text: str
) -> None:
    before = len(module_tally.lines())
    with pytest.raises(error, match=text):
        stage.fan_out("count", [1, 2, 3], **arguments)
    assert stage.fan_out("count", [1], join=sum).result(20).output == 1
    assert len(module_tally.lines()) == before + 1


def test_work_that_is_none_is_refused(stage: Playground) -> None:
    with pytest.raises(InvalidTask, match="fan out"):
        stage.fan_out(17, [1])
    with pytest.raises(InvalidTask, match="items to fan out over"):
        stage.fan_out("square", 17)  # type: ignore[arg-type]


def test_an_item_that_may_not_travel_takes_the_group_with_it(no_leaks: None) -> None:
    with Playground(max_payload=100_000).play(workers=1) as stage:
        with pytest.raises(PayloadTooLarge):
            stage.fan_out(len, ["short", "x" * 200_000, "short"])
        assert stage.fan_out(len, ["short", "longer"]).result(20).output == [5, 6]
    # and the block did not wait for a group that nobody has


def test_an_item_that_cannot_be_pickled_is_refused_with_nothing_begun(stage: Playground, module_tally: Tally) -> None:
    before = len(module_tally.lines())
    items: list[Any] = [1, 2, (x for x in "text")]
    with pytest.raises(TypeError, match="generator"):
        stage.fan_out("count", items)
    assert stage.fan_out("count", [1], join=sum).result(20).output == 1
    assert len(module_tally.lines()) == before + 1


def test_group_failed_is_told_where_no_exception_was_raised(stage: Playground) -> None:
    class Honest(ProcessWorker):
        async def _processor(self, request: ProcessRequest, time: int) -> tuple[bool, None]:
            return False, None

    with Playground().play(workers=[Honest("no", "no")]) as other:
        result = other.fan_out("no", [1]).result(20)
    assert result.failure is not None and result.failure.check(GroupFailed)


def test_many_groups_at_once_leave_no_threads(stage: Playground, caplog: pytest.LogCaptureFixture) -> None:
    def groups() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("AggregatorActor")]

    with caplog.at_level(logging.WARNING):
        handles = [stage.fan_out("count", [1, 2, 3], join=sum) for _ in range(20)]
        assert [handle.result(20).output for handle in handles] == [14] * 20
        until(lambda: not groups(), "the end of the groups' threads")
    assert not caplog.records
