"""Attempts that overrun, and tasks that are tried again."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callboard import Playground, ProcessRequest, ProcessWorker, RetryPolicy, Task, TaskStatus, TaskTimedOut
from callboard.flows import FunctionTask
from tests.playground.crew import Deaf, Noting, Tally, Waiting, begun, note


class Flaky(ProcessWorker):
    """Fails so many times, and notes when each attempt was made; keeps the count in a file, since processes come and go."""

    def process(self, request: ProcessRequest) -> Any:
        note(request.input_data["log"], f"{time.time()} {request.attempt} {os.getpid()}")
        if request.attempt <= request.input_data["failures"]:
            kind = request.input_data.get("kind", "value")
            if kind == "overrun":
                time.sleep(30)
            raise {"value": ValueError, "key": KeyError, "os": OSError}[kind](f"attempt {request.attempt}")
        return request.attempt


@pytest.fixture(scope="module")
def stage(module_tally: Tally) -> Iterator[Playground]:
    crew: list[ProcessWorker] = [
        Deaf("deaf", "deaf", tally=module_tally),
        Waiting("waiting", "waiting", tally=module_tally, slots=2),
        Flaky("flaky", "flaky"),
        Noting("echo", "echo"),
    ]
    with Playground().play(workers=crew) as playground:
        yield playground


@pytest.fixture
def log(tmp_path: Path) -> str:
    return str(tmp_path / "log")


def times(log: str) -> list[float]:
    return [float(line.split()[0]) for line in Path(log).read_text().splitlines()]


@pytest.mark.parametrize("role", ["deaf", "waiting"])
def test_an_attempt_that_overruns_is_stopped(stage: Playground, module_tally: Tally, log: str, role: str) -> None:
    before = time.monotonic()
    handle = stage.submit(Task("slow", role, {"begun": log}, timeout=0.3))
    result = handle.result(20)
    assert 0.29 < time.monotonic() - before < 5
    assert result.status is TaskStatus.FAILED and result.attempts == 1 and result.worker == role
    assert result.failure is not None and result.failure.check(TaskTimedOut) and result.failure.check(TimeoutError)
    assert "slow" in str(result.error) and "0.3" in str(result.error)
    again = stage.submit(Task("next", role, {"begun": log, "seconds": 0.0}, timeout=10))
    assert again.result(20).success
    module_tally.once([handle, again])


def test_a_timeout_of_one_leaves_the_others_alone(stage: Playground, log: str) -> None:
    slow = stage.submit(Task("slow", "waiting", {"begun": log}, timeout=0.2))
    good = stage.submit(Task("good", "waiting", {"begun": log, "seconds": 0.5}))
    assert slow.result(20).status is TaskStatus.FAILED
    assert good.result(20).success and good.result().attempts == 1


def test_time_spent_waiting_does_not_count(stage: Playground, log: str) -> None:
    first = stage.submit(Task("first", "deaf", {"begun": log, "seconds": 1.0}))
    begun(log)
    second = stage.submit(Task("second", "deaf", {"begun": log, "seconds": 0.0}, timeout=0.8))
    assert first.result(20).success and second.result(20).success


def test_an_overrun_is_tried_again_as_the_policy_says(stage: Playground, log: str) -> None:
    work = Task("sluggish", "flaky", {"log": log, "failures": 2, "kind": "overrun"}, timeout=0.5, retry_policy=RetryPolicy(max_attempts=3))
    result = stage.submit(work).result(30)
    assert result.success and result.attempts == 3 and result.output == 3
    assert len({line.split()[2] for line in Path(log).read_text().splitlines()}) == 3  # each in a process of its own


def test_overruns_count_against_the_policy(stage: Playground, log: str) -> None:
    work = Task("sluggish", "flaky", {"log": log, "failures": 9, "kind": "overrun"}, timeout=0.1, retry_policy=RetryPolicy(max_attempts=2))
    result = stage.submit(work).result(30)
    assert result.status is TaskStatus.FAILED and result.attempts == 2
    assert result.failure is not None and result.failure.check(TaskTimedOut)


# -- retries ------------------------------------------------------------------------------------


def test_without_a_policy_there_is_one_attempt(stage: Playground, log: str) -> None:
    result = stage.submit(Task("flaky", "flaky", {"log": log, "failures": 1})).result(20)
    assert result.status is TaskStatus.FAILED and result.attempts == 1 and len(times(log)) == 1


def test_a_fixed_delay(stage: Playground, log: str) -> None:
    policy = RetryPolicy(max_attempts=3, initial_delay_seconds=0.15)
    result = stage.submit(Task("flaky", "flaky", {"log": log, "failures": 2}, retry_policy=policy)).result(20)
    assert result.success and result.attempts == 3 and result.output == 3 and result.error is None and result.failure is None
    first, second, third = times(log)
    assert second - first >= 0.14 and third - second >= 0.14


def test_an_exponential_delay_with_jitter(stage: Playground, log: str) -> None:
    policy = RetryPolicy(max_attempts=4, initial_delay_seconds=0.05, backoff_factor=2.0, jitter=0.5)
    assert stage.submit(Task("flaky", "flaky", {"log": log, "failures": 3}, retry_policy=policy)).result(20).attempts == 4
    waits = [later - sooner for sooner, later in zip(times(log), times(log)[1:], strict=False)]
    assert all(wait >= least - 0.01 for wait, least in zip(waits, (0.05, 0.1, 0.2), strict=True))


def test_attempts_run_out(stage: Playground, log: str) -> None:
    policy = RetryPolicy(max_attempts=3)
    result = stage.submit(Task("flaky", "flaky", {"log": log, "failures": 9}, retry_policy=policy)).result(20)
    assert result.status is TaskStatus.FAILED and result.attempts == 3 and "attempt 3" in str(result.error)
    assert len(times(log)) == 3


@pytest.mark.parametrize(
    ("policy", "attempts"),
    [
        (RetryPolicy(max_attempts=3, retry_on=(ValueError,)), 1),
        (RetryPolicy(max_attempts=3, retry_on=(LookupError,)), 3),
        (RetryPolicy(max_attempts=3, retry_on="KeyError"), 3),
        (RetryPolicy(max_attempts=3, give_up_on=(KeyError,)), 1),
        (RetryPolicy(max_attempts=3, retry_on=lambda error: "attempt 1" in str(error)), 2),
    ],
)
def test_the_policy_judges_the_exception(stage: Playground, log: str, policy: RetryPolicy, attempts: int) -> None:
    result = stage.submit(Task("flaky", "flaky", {"log": log, "failures": 9, "kind": "key"}, retry_policy=policy)).result(20)
    assert result.attempts == attempts and result.status is TaskStatus.FAILED


def test_others_go_on_while_one_waits_to_be_tried_again(stage: Playground, log: str, tmp_path: Path) -> None:
    policy = RetryPolicy(max_attempts=2, initial_delay_seconds=1.0)
    patient = stage.submit(Task("patient", "flaky", {"log": log, "failures": 1}, retry_policy=policy))
    other = stage.submit(Task("other", "flaky", {"log": str(tmp_path / "other"), "failures": 0}))
    assert other.result(20).success and not patient.done()
    assert patient.status in (TaskStatus.PENDING, TaskStatus.RUNNING)
    assert patient.result(20).success


def test_the_end_of_the_block_waits_for_retries(log: str) -> None:
    policy = RetryPolicy(max_attempts=2, initial_delay_seconds=0.2)
    with Playground().play(workers=[Flaky("flaky", "flaky")]) as stage:
        handle = stage.submit(Task("patient", "flaky", {"log": log, "failures": 1}, retry_policy=policy))
    assert handle.result().success and handle.result().attempts == 2


def test_a_fallback_stands_in(stage: Playground, log: str) -> None:
    value = stage.submit(Task("flaky", "flaky", {"log": log, "failures": 9}, fallback={"from": "the cache"})).result(20)
    assert value.success and value.output == {"from": "the cache"}
    work = Task("flaky", "flaky", {"log": log, "failures": 9}, fallback=Task("instead", "echo", {"data": 5}))
    other = stage.submit(work).result(20)
    assert other.success and other.output == 5 and other.name == "flaky"


def test_a_fallback_that_carries_code_stands_in_however_the_task_was_submitted() -> None:
    def break_down() -> None:
        raise ValueError("broken")

    def substitute(text: str) -> Task:
        return FunctionTask(lambda: text)

    with Playground().play(workers=1) as stage:
        chosen = stage.submit(FunctionTask(break_down, id="chosen", fallback=substitute("one with an id")))
        assert chosen.result(20).output == "one with an id"
        twice = stage.submit(FunctionTask(break_down, fallback=FunctionTask(break_down, fallback=substitute("a fallback"))))
        assert twice.result(20).output == "a fallback"
        ended: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        stage.on("task.completed", lambda event: ended.put(event.task_id), where={"name": "started"})
        stage.on("go", start=FunctionTask(break_down, name="started", fallback=substitute("one that an event starts")))
        stage.emit("go")
        assert ended.get(timeout=20)


def test_the_end_of_the_block_waits_for_the_worker_that_replaces_a_stopped_one(log: str) -> None:
    with Playground().play(workers=[Deaf("solo", "deaf")]) as stage:
        slow = stage.submit(Task("slow", "deaf", {"begun": log}, timeout=0.2, retry_policy=RetryPolicy(max_attempts=2)))
        after = stage.submit(Task("after", "deaf", {"begun": log, "seconds": 0.0}))
    failure = slow.result().failure
    assert failure is not None and failure.check(TaskTimedOut) and slow.result().attempts == 2
    assert after.result().success


def test_the_end_of_the_block_waits_after_a_stop_by_force(log: str) -> None:
    with Playground().play(workers=[Deaf("solo", "deaf")]) as stage:
        slow = stage.submit(Task("slow", "deaf", {"begun": log}))
        after = stage.submit(Task("after", "deaf", {"begun": log, "seconds": 0.0}))
        begun(log)
        slow.cancel(force=True)
    assert slow.result().status is TaskStatus.CANCELLED and after.result().success
