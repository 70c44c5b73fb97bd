"""Controllers of flows inside of each other: each try begins with nothing left of the one before."""

from __future__ import annotations

import math
import time
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from callboard.engines import Executor, SyncExecutor
from callboard.flows import (
    Decision,
    FlowStatus,
    ForEach,
    History,
    LinearFlow,
    ParameterizedForEach,
    Retry,
    Task,
    Times,
    UnorderedFlow,
    Verdict,
    WaitForSignal,
)
from tests.engines.conftest import make_executor


def noted(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


class Refuses(Task):
    """Notes what it was given, and takes none of it."""

    def __init__(self, name: str, path: Path, **declared: Any) -> None:
        super().__init__(name, **declared)
        self.path = path

    def execute(self, value: object) -> None:
        with self.path.open("a") as file:
            file.write(f"{value}\n")
        raise ValueError(f"not {value}")


def test_a_controller_right_behind_another_begins_anew_with_each_of_its_tries(executor: Executor, tmp_path: Path) -> None:
    inner = LinearFlow("inner", retry=ForEach(["a", "b"], provides="value")).add(Refuses("task", tmp_path / "log"))
    result = executor.execute(LinearFlow("outer", retry=Times(2)).add(inner))
    assert result.status is FlowStatus.REVERTED
    assert noted(tmp_path / "log") == ["a", "b", "a", "b"]


def test_three_controllers_multiply_their_tries(tmp_path: Path) -> None:
    inmost = LinearFlow("inmost", retry=Times(2, provides="value")).add(Refuses("task", tmp_path / "log"))
    flow = LinearFlow("outer", retry=Times(2)).add(LinearFlow("middle", retry=Times(2)).add(inmost))
    assert SyncExecutor().execute(flow).status is FlowStatus.REVERTED
    assert noted(tmp_path / "log") == ["1", "2"] * 4


class Double(Task):
    def execute(self, number: int) -> int:
        return 2 * number


class FailsOnce(Task):
    def __init__(self, name: str, path: Path, **declared: Any) -> None:
        super().__init__(name, **declared)
        self.path = path

    def execute(self) -> None:
        with self.path.open("a") as file:
            file.write("tried\n")
        if len(noted(self.path)) == 1:
            raise ValueError("the first time")


def test_what_is_answered_without_running_stays_answered_at_the_next_try(kind: str, tmp_path: Path) -> None:
    flow = LinearFlow("flow", retry=Times(2)).add(
        Double("double", idempotent=True, provides="doubled"), FailsOnce("fails", tmp_path / "log")
    )
    result = make_executor(kind).execute(flow, {"number": 4})
    assert (result.status, result.outputs["doubled"]) == (FlowStatus.COMPLETED, 8)


class RefusesToGoOn(Retry):
    def execute(self, history: History, again: list[str], *args: Any, **inputs: Any) -> None:
        if again:
            raise ValueError("not again")
        again.append("tried")

    def on_failure(self, *args: Any, **inputs: Any) -> Decision:
        return Decision.REVERT


def test_a_controller_that_fails_at_a_later_try_is_the_failure(tmp_path: Path) -> None:
    inner = LinearFlow("inner", retry=RefusesToGoOn()).add(FailsOnce("fails", tmp_path / "log"))
    result = SyncExecutor().execute(LinearFlow("outer", retry=Times(2)).add(inner), {"again": []})
    assert result.status is FlowStatus.REVERTED
    assert "not again" in str(result.failures["inner_retry"])


class Answers(Retry):
    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def on_failure(self, *args: Any, **inputs: Any) -> Verdict:
        answer: Verdict = self.answer
        return answer


@pytest.mark.parametrize("delay", [-1, "soon", None, True, math.inf, math.nan])
def test_a_delay_that_is_none_is_said_and_reverts_everything(delay: Any, tmp_path: Path) -> None:
    flow = LinearFlow("flow", retry=Answers(Verdict(Decision.RETRY, delay))).add(FailsOnce("fails", tmp_path / "log"))
    result = SyncExecutor().execute(flow)
    assert result.status is FlowStatus.REVERTED
    assert f"seconds from 0, not {delay!r}" in str(result.failures["flow_retry"])


def test_a_verdict_of_something_else_than_a_decision_is_said(tmp_path: Path) -> None:
    answer: Any = "retry"
    flow = LinearFlow("flow", retry=Answers(Verdict(answer))).add(FailsOnce("fails", tmp_path / "log"))
    assert "must answer by a Decision or a Verdict" in str(SyncExecutor().execute(flow).failures["flow_retry"])


def test_a_controller_is_given_constants(tmp_path: Path) -> None:
    each = ParameterizedForEach(inject={"values": ["a", "b"]}, provides="value")
    SyncExecutor().execute(LinearFlow("flow", retry=each).add(Refuses("task", tmp_path / "log")))
    assert noted(tmp_path / "log") == ["a", "b"]


class Patient(Retry):
    def execute(self, history: History) -> None:
        return None

    def on_failure(self, history: History, limit: int) -> Decision:
        return Decision.RETRY if len(history) < limit else Decision.REVERT


def test_a_constant_goes_to_the_methods_that_take_it(tmp_path: Path) -> None:
    flow = LinearFlow("flow", retry=Patient(inject={"limit": 2})).add(FailsOnce("fails", tmp_path / "log"))
    assert SyncExecutor().execute(flow).is_completed()


@pytest.mark.parametrize("values", [5, iter(["a", "b"])])
def test_values_that_can_be_gone_through_once_only_are_refused(values: Any, tmp_path: Path) -> None:
    flow = LinearFlow("flow", retry=ParameterizedForEach(provides="value")).add(Refuses("task", tmp_path / "log"))
    result = SyncExecutor().execute(flow, {"values": values})
    assert "the values to try must be several" in str(result.failures["flow_retry"])
    assert noted(tmp_path / "log") == []


def test_a_wait_that_begins_anew_has_its_whole_time_again(tmp_path: Path) -> None:
    executor = make_executor("threads")
    waits: list[float] = []

    def second_time(state: str, details: Any) -> None:
        waits.append(1.0)
        if len(waits) == 2:
            # Later than the first wait would have ended.
            Timer(0.9, executor.signal, (details["run_id"], "go", "now")).start()

    executor.atom_notifier.register("waiting", second_time)
    flow = UnorderedFlow("flow", retry=Times(2)).add(WaitForSignal("go", timeout=1.2, provides="word"), Late("late", tmp_path / "log"))
    result = executor.execute(flow)
    assert (result.status, result.outputs["word"]) == (FlowStatus.COMPLETED, "now")


class Late(FailsOnce):
    def execute(self) -> None:
        time.sleep(0.6)
        super().execute()


def test_a_wait_of_centuries_can_be_waited_for() -> None:
    executor = SyncExecutor()
    executor.atom_notifier.register("waiting", lambda state, details: Timer(0.1, executor.signal, (details["run_id"], "go")).start())
    assert executor.execute(WaitForSignal("go", timeout=1e15)).is_completed()
