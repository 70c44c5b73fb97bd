"""What a caller gets: outputs, honest failures, raised errors, values and errors that will not travel."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest

from callboard import CannotPickle, Playground, ProcessRequest, ProcessWorker, RetryPolicy, Task, TaskFailed, TaskResult, TaskStatus
from tests.playground.crew import Noting, Tally


@dataclass
class WorkTask:
    id: int
    description: str
    difficulty: int


class WorkerProcessor(ProcessWorker):
    """The tutorial's own."""

    def __init__(self, name: str, skill_level: int) -> None:
        super().__init__(name=name, role="worker")
        self.skill_level = skill_level

    async def _processor(self, request: ProcessRequest, time: int) -> tuple[bool, dict[str, Any]]:
        task = request.data
        await asyncio.sleep(task.difficulty / 100)
        success = self.skill_level >= task.difficulty
        return success, {"task_id": task.id, "worker": self.name, "difficulty": task.difficulty, "time": time}


class Odd(Exception):
    """Pickles, and then refuses to load, since its __init__ wants what args does not hold."""

    def __init__(self, code: int, *, where: str) -> None:
        super().__init__(f"code {code} at {where}")


class Rigid(Exception):
    """Cannot be pickled at all."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.hold = (value for value in "text")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Unloadable:
    def __reduce__(self) -> tuple[Any, ...]:
        return _refuse, ()


def _refuse() -> NoReturn:
    raise RuntimeError("this value loads nowhere")


class Trouble(Noting):
    """Raises or returns what the task names."""

    def work(self, request: ProcessRequest) -> Any:
        match request.data:
            case "raise":
                raise ValueError("five is right out")
            case "cause":
                try:
                    dict[str, int]()["missing"]
                except KeyError as error:
                    raise RuntimeError("could not look it up") from error
            case "odd":
                raise Odd(7, where="the attic")
            case "rigid":
                raise Rigid("stiff")
            case "mute":
                raise Mute
            case "exit":
                raise SystemExit(4)
            case "interrupt":
                raise KeyboardInterrupt
            case "generator":
                return (number for number in range(3))
            case "unloadable":
                return Unloadable()
            case "stop":
                raise StopIteration("nothing left")
        return request.data


@pytest.fixture(scope="module")
def stage(module_tally: Tally) -> Iterator[Playground]:
    crew = [Trouble("ada", "trouble", tally=module_tally), WorkerProcessor("junior", 3)]
    with Playground().play(workers=crew) as playground:
        yield playground


def trouble(stage: Playground, data: Any, **declared: Any) -> TaskResult:
    return stage.submit(Task(f"the {data}", "trouble", {"data": data}, **declared)).result(20)


# -- honest answers ---------------------------------------------------------------------------


def test_a_worker_that_says_yes_with_a_dict(stage: Playground) -> None:
    result = stage.submit(Task("easy", processor="worker", input_data={"data": WorkTask(1, "easy", 2)})).result(20)
    assert result.success and result.is_completed() and result.status is TaskStatus.COMPLETED
    assert result.output["task_id"] == 1 and result.output["worker"] == "junior" and result.output["difficulty"] == 2
    assert isinstance(result.output["time"], int) and result.output["time"] > 1_500_000_000
    assert (result.error, result.failure, result.worker, result.attempts) == (None, None, "junior", 1)
    assert 0.02 <= result.duration < 5


def test_an_honest_no_is_no_success_and_keeps_its_output(stage: Playground) -> None:
    result = stage.submit(Task("hard", processor="worker", input_data={"data": WorkTask(2, "hard", 5)})).result(20)
    assert not result.success and result.status is TaskStatus.FAILED
    assert result.output["difficulty"] == 5 and result.failure is None
    assert "junior" in str(result.error)
    with pytest.raises(TaskFailed, match="junior"):
        result.unwrap()


def test_an_honest_no_is_tried_again_only_under_a_policy(stage: Playground) -> None:
    work = WorkTask(3, "hard", 4)
    once = stage.submit(Task(processor="worker", input_data={"data": work})).result(20)
    thrice = stage.submit(Task(processor="worker", input_data={"data": work}, retry_policy=RetryPolicy(max_attempts=3))).result(20)
    assert (once.attempts, thrice.attempts) == (1, 3)
    assert thrice.output["difficulty"] == 4 and not thrice.success


@pytest.mark.parametrize("output", [(True, 1, 2), (1, {"a": 1}), [True, {}], (True,), None, {}, 0, "", False, float("inf"), b"x" * 100_000])
def test_other_shapes_are_outputs_as_they_are(stage: Playground, output: object) -> None:
    result = stage.submit(Task(processor="trouble", input_data={"data": output})).result(20)
    assert result.success and result.output == output and type(result.output) is type(output)


def test_a_pair_from_process_is_an_output_too(stage: Playground) -> None:
    assert trouble(stage, (False, "value")).output == (False, "value")


# -- raised errors ----------------------------------------------------------------------------


def test_a_raised_exception_is_a_failure_with_the_workers_traceback(stage: Playground) -> None:
    result = trouble(stage, "raise")
    assert not result.success and result.status is TaskStatus.FAILED and result.output is None
    assert "five is right out" in str(result.error)
    failure = result.failure
    assert failure is not None and failure.type_name == "ValueError" and failure.check(ValueError)
    assert "test_outcome.py" in failure.traceback and 'raise ValueError("five is right out")' in failure.traceback
    assert "execution.py" not in failure.traceback and "crew.py" in failure.traceback
    with pytest.raises(TaskFailed, match="in work") as caught:
        result.unwrap()
    assert type(caught.value.__cause__) is ValueError and caught.value.__cause__.args == ("five is right out",)


def test_the_chain_of_causes_comes_along(stage: Playground) -> None:
    failure = trouble(stage, "cause").failure
    assert failure is not None and failure.type_name == "RuntimeError"
    assert [cause.type_name for cause in failure.causes] == ["KeyError"]
    assert "direct cause" in failure.traceback


def test_ten_tasks_of_which_one_raises(stage: Playground, module_tally: Tally) -> None:
    handles = [stage.submit(Task(f"task {n}", "trouble", {"data": "raise" if n == 4 else n})) for n in range(10)]
    results = [handle.result(20) for handle in handles]
    assert [result.success for result in results] == [n != 4 for n in range(10)]
    assert [result.output for result in results if result.success] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    module_tally.once(results)


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("odd", "Odd", "code 7 at the attic"),
        ("rigid", "Rigid", "stiff"),
        ("mute", "Mute", "Mute"),
        ("exit", "SystemExit", "4"),
        ("interrupt", "KeyboardInterrupt", "KeyboardInterrupt"),
        ("stop", "StopIteration", "nothing left"),
    ],
)
def test_any_exception_is_told_and_the_worker_goes_on(stage: Playground, kind: str, name: str, text: str) -> None:
    result = trouble(stage, kind)
    assert result.status is TaskStatus.FAILED and result.attempts == 1
    assert result.failure is not None and result.failure.type_name == name and text in str(result.error)
    with pytest.raises(TaskFailed, match=name):
        result.unwrap()
    assert trouble(stage, "fine").output == "fine"
    assert pickle.loads(pickle.dumps(result)) == result


# -- what will not travel -----------------------------------------------------------------------


def test_a_result_that_cannot_be_pickled_is_a_named_failure(stage: Playground) -> None:
    result = trouble(stage, "generator")
    assert result.status is TaskStatus.FAILED and result.failure is not None
    assert result.failure.check(CannotPickle) and "generator" in str(result.error) and "the output" in str(result.error)
    assert trouble(stage, "fine").success


def test_a_result_that_cannot_be_loaded_is_a_named_failure(stage: Playground) -> None:
    result = trouble(stage, "unloadable")
    assert result.status is TaskStatus.FAILED
    assert "cannot be loaded" in str(result.error) and "loads nowhere" in str(result.error)


def test_an_argument_that_cannot_be_pickled_is_refused_at_once(stage: Playground) -> None:
    with pytest.raises(CannotPickle, match=r"input of task 'stuck'.*generator"):
        stage.submit(Task("stuck", "trouble", {"data": (number for number in range(3))}))
    assert trouble(stage, "fine").success


def test_an_argument_that_cannot_be_loaded_fails_its_task(stage: Playground) -> None:
    result = trouble(stage, Unloadable())
    assert result.status is TaskStatus.FAILED and "loads nowhere" in str(result.error)
    assert trouble(stage, "fine").success


# -- awaited ------------------------------------------------------------------------------------


def test_success_rate_as_the_tutorial_counts_it() -> None:
    tasks = [WorkTask(1, "simple", 2), WorkTask(2, "medium", 5), WorkTask(3, "complex", 8)]

    async def main() -> list[TaskResult]:
        playground = Playground(name="task_playground")
        results = []
        async with playground.play(
            workers=[WorkerProcessor("Junior", 3), WorkerProcessor("Intermediate", 6), WorkerProcessor("Senior", 9)]
        ) as active:
            for task in tasks:
                work = Task(name=f"Task {task.id}", processor="worker", input_data={"data": task})
                results.append(await active.add_and_execute_task(task=work, wait_for_completion=True))
        return results

    results = asyncio.run(main())
    assert [result.name for result in results] == ["Task 1", "Task 2", "Task 3"]
    levels = {"Junior": 3, "Intermediate": 6, "Senior": 9}
    for result, task in zip(results, tasks, strict=True):
        assert result.success is (levels[result.output["worker"]] >= task.difficulty)
