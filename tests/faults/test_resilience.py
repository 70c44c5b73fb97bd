"""Retry policies, circuit breakers and fallbacks, on workers."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callboard import CircuitBreaker, Playground, ProcessRequest, ProcessWorker, RetryPolicy, Task, TaskStatus, task
from callboard.messages.errors import CircuitOpen
from callboard.messages.event import Event
from callboard.resilience import StopAfterAttempts, StopAfterSeconds
from tests.faults.crew import Hand, lines, note, order, outputs

Figure = Callable[[str, object], None]


class Odd(Exception):
    """A failure of a kind of its own."""


class Even(Odd):
    """One of a kind below that."""


class Moody(ProcessWorker):
    """``data`` is (kind, path): fails as told until the third attempt, or while the file says so."""

    async def _processor(self, request: ProcessRequest, when: int) -> Any:
        kind, path = request.data
        note(path, f"{request.attempt} {self.name} {time.monotonic()}")
        if kind == "no":
            return False, f"not yet ({request.attempt})"
        if kind == "third":
            return request.attempt >= 3, request.attempt
        raise {"odd": Odd, "even": Even, "other": ValueError}[kind](str(request.attempt))


def moody(kind: str, path: Path, **declared: Any) -> Task:
    return Task(kind, "worker", {"data": (kind, str(path))}, **declared)


@pytest.mark.usefixtures("no_leaks")
def test_a_policy_is_asked_where_the_exception_is(tmp_path: Path) -> None:
    retrying: list[Event] = []
    with Playground().play(workers=[Moody("ada"), Moody("bob")]) as stage:
        stage.on("task.retrying", retrying.append)

        def attempts(kind: str, policy: RetryPolicy | None) -> int:
            result = stage.submit(moody(kind, tmp_path / "marks", retry_policy=policy)).result(20)
            assert result.status is TaskStatus.FAILED
            return result.attempts

        assert attempts("odd", None) == 1
        assert attempts("odd", RetryPolicy(max_attempts=4)) == 4
        assert attempts("even", RetryPolicy(retry_on=Odd)) == 3
        assert attempts("even", RetryPolicy(retry_on="Odd")) == 3
        assert attempts("even", RetryPolicy(retry_on=Odd, give_up_on=Even)) == 1
        assert attempts("other", RetryPolicy(retry_on=Odd)) == 1
        assert attempts("other", RetryPolicy(retry_on=lambda error: "1" in str(error))) == 2
        assert attempts("other", RetryPolicy(retry_on=lambda error: 1 / 0 > 0)) == 1
        assert attempts("odd", RetryPolicy(max_attempts=9, stop=StopAfterAttempts(2) | StopAfterSeconds(60))) == 2
        begun = time.monotonic()
        assert attempts("odd", RetryPolicy(max_attempts=100, initial_delay_seconds=0.05, stop=StopAfterSeconds(0.3))) in range(2, 8)
        assert time.monotonic() - begun < 10
    assert {event.data["failures"] for event in retrying} >= {1, 2, 3}
    assert all(event.data["delay"] >= 0 for event in retrying)


@pytest.mark.usefixtures("no_leaks")
def test_an_honest_no_is_tried_again_only_under_a_policy(tmp_path: Path) -> None:
    path = tmp_path / "marks"
    with Playground().play(workers=[Moody("ada"), Moody("bob")]) as stage:
        result = stage.submit(moody("no", path)).result(10)
        assert (result.status, result.attempts, result.output) == (TaskStatus.FAILED, 1, "not yet (1)")
        result = stage.submit(moody("no", path, retry_policy=RetryPolicy(max_attempts=3))).result(10)
        assert (result.status, result.attempts, result.output) == (TaskStatus.FAILED, 3, "not yet (3)")
        result = stage.submit(moody("third", path, retry_policy=RetryPolicy(max_attempts=5))).result(10)
        assert (result.status, result.attempts, result.output) == (TaskStatus.COMPLETED, 3, 3)


@pytest.mark.usefixtures("no_leaks")
def test_waits_between_attempts_grow_and_take_no_slot(tmp_path: Path, figure: Figure) -> None:
    path = tmp_path / "marks"
    policy = RetryPolicy(max_attempts=4, initial_delay_seconds=0.1, backoff_factor=2.0, max_delay_seconds=0.3)
    with Playground().play(workers=[Moody("ada"), Hand("bob", role="hand")]) as stage:
        handle = stage.submit(moody("odd", path, retry_policy=policy))
        beside = [stage.submit(moody("third", tmp_path / "other")) for _ in range(20)]
        assert {other.result(10).attempts for other in beside} == {1}
        assert handle.result(20).attempts == 4
    times = [float(line.split()[2]) for line in lines(path)]
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    figure("retries after 0.1, 0.2 and 0.3 s: waited (s)", ", ".join(f"{wait:.3f}" for wait in waits))
    assert all(wait >= due for wait, due in zip(waits, (0.1, 0.2, 0.3), strict=True))


@pytest.mark.usefixtures("no_leaks")
def test_a_breaker_is_one_for_all_workers(tmp_path: Path) -> None:
    path = tmp_path / "marks"
    breaker = CircuitBreaker("shop", failure_threshold=4, recovery_seconds=1.0)
    states: list[str] = []
    closed = threading.Event()
    with Playground().play(workers=[Moody("ada"), Moody("bob")]) as stage:
        stage.on("circuit.*", lambda event: states.append(f"{event.topic} {event.name}"))
        stage.on("circuit.closed", lambda event: closed.set())
        for _ in range(4):
            assert stage.submit(moody("odd", path, breaker=breaker)).result(10).attempts == 1
        assert {line.split()[1] for line in lines(path)} <= {"ada", "bob"}
        refused = stage.submit(moody("third", path, breaker=breaker)).result(10)
        assert (refused.status, refused.attempts) == (TaskStatus.FAILED, 0)
        with pytest.raises(CircuitOpen, match="circuit 'shop' is open after repeated failures"):
            refused.unwrap()
        # Another task by the same breaker is refused as well, one without is not.
        assert stage.submit(order("echo", 1, processor="worker", breaker=breaker)).result(10).attempts == 0
        assert stage.submit(moody("odd", path)).result(10).attempts == 1
        assert len(lines(path)) == 5
        time.sleep(1.05)
        # One call on trial: it fails, and the circuit is open again at once.
        assert stage.submit(moody("odd", path, breaker=breaker)).result(10).attempts == 1
        assert stage.submit(moody("odd", path, breaker=breaker)).result(10).attempts == 0
        time.sleep(1.05)
        good = RetryPolicy(max_attempts=1)
        trial = stage.submit(Task("good", "worker", {"data": ("third", str(path))}, breaker=breaker, retry_policy=good))
        assert trial.result(10).attempts == 1
        time.sleep(1.05)
        assert stage.submit(Echo("good", breaker=breaker, input_data={"value": 1})).result(10).output == 1
        assert closed.wait(10)
        assert stage.submit(moody("odd", path, breaker=breaker)).result(10).attempts == 1
    assert states == [f"circuit.{state} shop" for state in ("open", "half_open", "open", "half_open", "open", "half_open", "closed")]


class Echo(Task):
    """Carries its own code, and goes to plain workers or, here, to any."""

    default_processor = "worker"

    def execute(self, value: Any) -> Any:
        return value


@pytest.mark.usefixtures("no_leaks")
def test_a_breaker_without_a_name_is_the_task_s(tmp_path: Path) -> None:
    with Playground().play(workers=[Hand("ada")]) as stage:
        for _ in range(2):
            stage.submit(order("fail", "no", name="one", breaker=CircuitBreaker(failure_threshold=2))).result(10)
        assert stage.submit(order("echo", 1, name="one", breaker=CircuitBreaker(failure_threshold=2))).result(10).attempts == 0
        assert stage.submit(order("echo", 1, name="two", breaker=CircuitBreaker(failure_threshold=2))).result(10).output == 1


@pytest.mark.usefixtures("no_leaks")
def test_a_fallback_stands_in_when_all_attempts_have_failed(tmp_path: Path) -> None:
    path = tmp_path / "marks"
    policy = RetryPolicy(max_attempts=2)
    with Playground(max_worker_deaths=2).play(workers=[Moody("ada"), Hand("bob", role="hand")]) as stage:
        value = stage.submit(moody("odd", path, retry_policy=policy, fallback="instead")).result(10)
        assert (value.status, value.output) == (TaskStatus.COMPLETED, "instead")
        assert len(lines(path)) == 2
        other = stage.submit(moody("odd", path, fallback=order("echo", "done", processor="hand"))).result(10)
        assert (other.status, other.output) == (TaskStatus.COMPLETED, "done")
        broken = stage.submit(moody("odd", path, fallback=order("fail", "too", processor="hand"))).result(10)
        assert broken.status is TaskStatus.FAILED
        assert "too" in str(broken.error)
        # A breaker that refuses, a death and a role that nobody has are failures like any other.
        breaker = CircuitBreaker("b", failure_threshold=1)
        assert stage.submit(moody("odd", path, breaker=breaker, fallback=1)).result(10).output == 1
        assert stage.submit(moody("odd", path, breaker=breaker, fallback=2)).result(10).output == 2
        assert stage.submit(order("leave", 9, processor="hand", fallback=3)).result(10).output == 3
        assert stage.submit(order("echo", 0, processor="nobody", expires_in=0.1, fallback=4)).result(10).output == 4
        assert stage.submit(order("spin", 30.0, processor="hand", timeout=0.2, fallback=5)).result(20).output == 5
        unused = stage.submit(order("echo", 6, processor="hand", fallback=7)).result(10)
        assert unused.output == 6


@task(retry_policy=RetryPolicy(max_attempts=3))
def unlucky(path: str) -> int:
    note(path, "called")
    if len(lines(path)) < 3:
        raise Odd("again")
    return len(lines(path))


@pytest.mark.usefixtures("no_leaks")
def test_functions_have_policies_too(tmp_path: Path) -> None:
    with Playground().play(workers=1) as stage:
        assert outputs([stage.submit(unlucky.task(str(tmp_path / "calls")))]) == [3]
