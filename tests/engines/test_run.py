"""A run while it waits, and when it is cancelled."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from callboard.engines import DistributedExecutor, Executor, SyncExecutor
from callboard.flows import AtomState, FlowStatus, LinearFlow, Task, UnorderedFlow
from callboard.resilience import RetryPolicy
from callboard.state import StateManager
from tests.engines.conftest import Heard, make_executor
from tests.engines.test_scenario import Breaks, Note


def test_a_run_that_waits_for_another_try_can_be_cancelled_and_has_told_of_all(executor: Executor, heard: Heard) -> None:
    def cancel(state: str, details: Any) -> None:
        executor.cancel()

    executor.atom_notifier.register("retrying", cancel)
    flow = UnorderedFlow("f").add(Breaks("bad", retry_policy=RetryPolicy(max_attempts=2, initial_delay_seconds=3600)))
    if not isinstance(executor, DistributedExecutor):  # there the playground tries again
        assert executor.execute(flow).status is FlowStatus.CANCELLED
        assert heard.of("running", "retrying") == ["bad", "bad"]


def test_what_has_ended_is_on_record_while_others_wait_for_their_next_try() -> None:
    state = StateManager()
    executor = SyncExecutor(state=state)
    flow = UnorderedFlow("f").add(
        Breaks("bad", priority=1, retry_policy=RetryPolicy(max_attempts=2, initial_delay_seconds=3600)), Note("good")
    )
    seen: list[dict[str, str]] = []

    def look() -> None:
        while state.states("r").get("good") != "completed":
            time.sleep(0.005)
        seen.append(state.states("r"))
        executor.cancel()

    looking = threading.Thread(target=look, daemon=True)
    run = executor.prepare(flow, run_id="r")
    looking.start()
    assert executor.drive(run).status is FlowStatus.CANCELLED
    looking.join()
    assert seen == [{"bad": "retrying", "good": "completed"}]


class Patient(Task):
    """Works until it is asked to stop."""

    def __init__(self, folder: Path) -> None:
        super().__init__("patient")
        self.folder = folder

    def execute(self) -> None:
        (self.folder / "begun").touch()
        while not self.cancelled:
            time.sleep(0.005)
        (self.folder / "stopped").touch()


def test_what_is_cancelled_can_see_that_and_stop(executor: Executor, kind: str, tmp_path: Path) -> None:
    def cancel() -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.005)
        executor.cancel()

    asking = threading.Thread(target=cancel, daemon=True)
    asking.start()
    assert not Patient(tmp_path).cancelled
    assert executor.execute(LinearFlow("f").add(Patient(tmp_path), Note("b"))).status is FlowStatus.CANCELLED
    asking.join()
    # A child process is killed instead.
    while kind != "processes" and not (tmp_path / "stopped").exists():
        time.sleep(0.005)
    # Its slot is free again.
    assert executor.execute(Note("c")).success


class AwaitsWhatIsCancelled(Task):
    async def execute(self) -> None:
        awaited = asyncio.ensure_future(asyncio.sleep(60))
        awaited.cancel()
        await awaited


def test_what_cancels_itself_has_failed_and_the_run_has_not_been_cancelled(executor: Executor) -> None:
    result = executor.execute(LinearFlow("flow").add(AwaitsWhatIsCancelled("task")))
    assert (result.status, result.states["task"]) == (FlowStatus.REVERTED, AtomState.REVERTED)
    assert "cancelled" in str(result.failures["task"]).lower()


class Bail(BaseException):
    """Nothing that anybody is meant to catch, as an interrupt."""


class Bails(Task):
    async def execute(self) -> None:
        await asyncio.sleep(0)
        raise Bail


@pytest.mark.parametrize("kind", ["sync", "threads", "async"])
def test_what_is_no_exception_goes_out_of_async_code_too(kind: str) -> None:
    with pytest.raises(Bail):
        make_executor(kind).execute(LinearFlow("flow").add(Bails("task")))


class OwnPolicy:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def decide(self, *judged: object) -> object:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("answer", [LookupError("no idea"), "soon", math.inf, math.nan])
def test_a_policy_that_cannot_judge_gives_up(executor: Executor, answer: object) -> None:
    result = executor.execute(LinearFlow("flow").add(Breaks("bad", retry_policy=OwnPolicy(answer))))
    assert (result.status, list(result.failures)) == (FlowStatus.REVERTED, ["bad"])
