from __future__ import annotations

import asyncio
import gc
import time
import weakref
from pathlib import Path
from typing import Any

import pytest

from callboard.engines import AsyncExecutor, Executor, FlowRun, ParallelExecutor, SyncExecutor
from callboard.flows import FlowStatus, LinearFlow, Task
from callboard.messages.errors import InvalidSetting, StoreUnavailable
from tests.engines.test_scenario import Note, Sleeper


class Letter(Task):
    def __init__(self, letter: str, said: list[str]) -> None:
        super().__init__(letter)
        self.said = said

    def execute(self) -> None:
        self.said.append(self.name)


def test_an_empty_flow_goes_through_one_round() -> None:
    assert list(SyncExecutor().run_iter(LinearFlow("f"))) == ["resuming", "scheduling", "waiting", "analyzing", "completed"]


def test_a_chain_of_26_is_driven_step_by_step() -> None:
    lines: list[str] = []
    flow = LinearFlow("alphabet").add(*(Letter(letter, lines) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    for phase in SyncExecutor().run_iter(flow):
        lines.append(phase)
    rounds = [line for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for line in ("scheduling", letter, "waiting", "analyzing")]
    assert lines == ["resuming", *rounds, "completed"]
    assert len(lines) == 106


def test_ten_atoms_make_32_steps() -> None:
    assert len(list(SyncExecutor().run_iter(LinearFlow("f").add(*(Note(f"n{n}") for n in range(10)))))) == 32


def test_sending_true_suspends() -> None:
    executor = SyncExecutor()
    steps = executor.run_iter(LinearFlow("f").add(Note("a"), Note("b")))
    phases = [next(steps), next(steps), next(steps), next(steps)]
    phases.append(steps.send(True))
    phases += list(steps)
    assert phases[-1] is FlowStatus.SUSPENDED
    assert phases.count("scheduling") == 1


def test_closing_suspends_and_lets_running_atoms_end() -> None:
    executor = ParallelExecutor(max_workers=2)
    run: FlowRun = executor.prepare(LinearFlow("f").add(Sleeper("a"), Note("b")))
    steps = executor.iterate(run)
    for phase in steps:
        if phase == "waiting":
            break
    steps.close()
    assert run.result().status is FlowStatus.SUSPENDED
    assert run.result().states == {"a": "completed", "b": "pending"}


@pytest.mark.parametrize("made", [SyncExecutor, ParallelExecutor, AsyncExecutor])
def test_a_run_is_carried_out_once(made: type[Executor]) -> None:
    executor = made()
    run = executor.prepare(LinearFlow("f").add(Note("a")))
    assert executor.drive(run).success
    with pytest.raises(InvalidSetting, match="was carried out, as far as that went"):
        executor.drive(run)


def test_what_runs_in_a_loop_says_so() -> None:
    async def inside() -> str:
        executor = AsyncExecutor()
        with pytest.raises(InvalidSetting, match=r"use await executor\.execute_async"):
            executor.execute(Note("a"))
        result = await executor.execute_async(Note("a"))
        return str(result.output)

    assert asyncio.run(inside()) == "a"
    with pytest.raises(InvalidSetting, match="run_iter cannot be called"):
        AsyncExecutor().run_iter(Note("a"))


@pytest.mark.parametrize("executor", [SyncExecutor(), ParallelExecutor(max_workers=1), AsyncExecutor()])
def test_every_executor_can_be_awaited_and_cancelled(executor: SyncExecutor) -> None:
    async def inside() -> None:
        assert (await executor.execute_async(LinearFlow("f").add(Note("a")))).output == "a"
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()
        executor.atom_notifier.register("running", lambda *_: loop.call_soon_threadsafe(begun.set))
        waiting = asyncio.ensure_future(executor.execute_async(LinearFlow("f").add(Sleeper("s"), Note("never"))))
        await begun.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(inside())


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True])
def test_numbers_that_cannot_work_are_refused(wrong: int) -> None:
    with pytest.raises(InvalidSetting, match="max_workers"):
        ParallelExecutor(max_workers=wrong)
    with pytest.raises(InvalidSetting, match="max_concurrency"):
        AsyncExecutor(max_concurrency=wrong)
    with pytest.raises(InvalidSetting, match="deadline"):
        SyncExecutor().execute(Note("a"), deadline=-1)


class Pause:
    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    def __call__(self, state: str, details: Any) -> None:
        self.executor.suspend()


def test_a_suspended_run_is_resumed_in_a_running_loop(tmp_path: Path) -> None:
    def flow() -> LinearFlow:
        return LinearFlow("f").add(Note("a", provides="a"), Note("b", provides="b"))

    async def inside() -> None:
        executor = AsyncExecutor(state=f"sqlite:///{tmp_path}/runs.db")
        pause = Pause(executor)
        executor.atom_notifier.register("completed", pause)
        with executor:
            assert (await executor.execute_async(flow(), run_id="r")).status == "suspended"
            with pytest.raises(InvalidSetting, match="resume_async"):
                executor.resume("r", flow())
            executor.atom_notifier.deregister("completed", pause)
            result = await executor.resume_async("r", flow())
        assert result.outputs == {"a": "a", "b": "b"}
        with pytest.raises(StoreUnavailable):
            executor.resume_async("r", flow()).send(None)

    asyncio.run(inside())


@pytest.mark.parametrize("made", [SyncExecutor, ParallelExecutor, AsyncExecutor])
def test_a_run_that_is_over_is_freed_at_once(made: type[Executor]) -> None:
    executor = made(state="memory:")
    executor.execute(Note("warm"))
    gc.collect()
    gc.disable()
    try:
        run = executor.prepare(LinearFlow("f").add(Note("a", timeout=60.0), Note("b")))
        values = weakref.ref(run.values)
        assert executor.drive(run).success
        del run
        until = time.monotonic() + 10
        while values() is not None and time.monotonic() < until:
            time.sleep(0.01)  # its threads are ending
        assert values() is None
    finally:
        gc.enable()
