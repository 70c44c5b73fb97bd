from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callboard.engines import Executor, SyncExecutor
from callboard.flows import (
    Expansion,
    FanOutFanInPattern,
    FlowStatus,
    ForEach,
    GraphFlow,
    LinearFlow,
    Task,
    Times,
    UnorderedFlow,
    WaitForSignal,
)
from callboard.messages.errors import CannotStore, InvalidSetting, SignalTimedOut, UnknownRecord, VersionConflict
from callboard.resilience import RetryPolicy
from callboard.state import StateManager
from tests.engines.conftest import make_executor


class Counted(Task):
    """Writes a line for each run, where every process can read it."""

    def __init__(self, name: str, folder: Path, **declared: Any) -> None:
        super().__init__(name, **declared)
        self.folder = str(folder)

    def execute(self) -> str:
        with Path(self.folder, f"{self.name}.ran").open("a") as lines:
            lines.write("x\n")
        return self.name

    def revert(self, result: Any) -> None:
        with Path(self.folder, f"{self.name}.undone").open("a") as lines:
            lines.write("x\n")


class Gated(Counted):
    """Waits for a file before it ends."""

    def execute(self) -> str:
        super().execute()
        while not Path(self.folder, "gate").exists():
            time.sleep(0.005)
        return self.name


class Bad(Counted):
    def execute(self) -> str:
        super().execute()
        raise OSError("bad")


def count(folder: Path, name: str, what: str = "ran") -> int:
    path = folder / f"{name}.{what}"
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateManager]:
    with StateManager(f"sqlite:///{tmp_path}/runs.db") as opened:
        yield opened


def suspend_at(executor: Executor, name: str) -> None:
    executor.atom_notifier.register("completed", lambda _, details: executor.suspend() if details["task_name"] == name else None)


def test_a_suspended_run_goes_on_in_another_executor(kind: str, state: StateManager, tmp_path: Path) -> None:
    def flow() -> LinearFlow:
        return LinearFlow("f").add(*(Counted(name, tmp_path, provides=name) for name in "abcd"))

    first = make_executor(kind, state=state)
    suspend_at(first, "b")
    result = first.execute(flow(), run_id="run")
    assert result.status is FlowStatus.SUSPENDED
    assert state.run("run").status == "suspended"
    assert state.states("run") == {"a": "completed", "b": "completed", "c": "pending", "d": "pending"}
    result = make_executor(kind, state=state).resume("run", flow())
    assert (result.status, result.outputs) == (FlowStatus.COMPLETED, {name: name for name in "abcd"})
    assert [count(tmp_path, name) for name in "abcd"] == [1, 1, 1, 1]
    assert make_executor(kind, state=state).resume("run", flow()).output == "d"  # it has ended: nothing runs
    assert count(tmp_path, "d") == 1


def test_suspending_a_backlog_lets_running_atoms_end_and_runs_nothing_twice(kind: str, state: StateManager, tmp_path: Path) -> None:
    if kind in ("sync", "async"):
        pytest.skip("no atom runs beside another here, or all do")
    names = [f"t{n}" for n in range(8)]

    def flow() -> UnorderedFlow:
        return UnorderedFlow("f").add(*(Gated(name, tmp_path, provides=name) for name in names))

    executor = make_executor(kind, state=state)
    results = []
    thread = threading.Thread(target=lambda: results.append(executor.execute(flow(), run_id="run")))
    thread.start()
    while count(tmp_path, "t0") + count(tmp_path, "t1") < 2:
        time.sleep(0.005)
    assert executor.suspend() == 1
    while state.run("run").status != "suspending":
        time.sleep(0.005)
    (tmp_path / "gate").touch()
    thread.join(20)
    assert results[0].status is FlowStatus.SUSPENDED
    states = state.states("run")
    assert sorted(states.values()) == ["completed"] * 2 + ["pending"] * 6
    result = make_executor(kind, state=state).resume("run", flow())
    assert result.status is FlowStatus.COMPLETED
    assert [count(tmp_path, name) for name in names] == [1] * 8


def test_a_run_that_is_suspended_before_it_begins_begins_nothing(tmp_path: Path) -> None:
    executor = SyncExecutor()
    run = executor.prepare(LinearFlow("f").add(Counted("a", tmp_path)))
    run.suspend()
    assert executor.drive(run).status is FlowStatus.SUSPENDED
    assert count(tmp_path, "a") == 0


def test_suspending_while_things_are_reverted_goes_on_reverting(kind: str, state: StateManager, tmp_path: Path) -> None:
    def flow() -> LinearFlow:
        return LinearFlow("f").add(Counted("a", tmp_path), Counted("b", tmp_path), Bad("c", tmp_path))

    executor = make_executor(kind, state=state)
    executor.atom_notifier.register("reverted", lambda _, details: executor.suspend() if details["task_name"] == "c" else None)
    assert executor.execute(flow(), run_id="run").status is FlowStatus.SUSPENDED
    assert state.states("run")["c"] == "reverted"
    result = make_executor(kind, state=state).resume("run", flow())
    assert result.status is FlowStatus.REVERTED
    assert [count(tmp_path, name, "undone") for name in "abc"] == [1, 1, 1]
    with pytest.raises(OSError, match="bad"):
        result.unwrap()


class Picks(Task):
    def __init__(self, folder: Path) -> None:
        super().__init__("picks")
        self.folder = str(folder)

    def execute(self, value: int) -> int:
        with Path(self.folder, "tried").open("a") as lines:
            lines.write(f"{value}\n")
        if value < 3:
            raise ValueError(value)
        return value

    def revert(self, value: int) -> None: ...


class Stuck(Counted):
    def revert(self, result: Any) -> None:
        super().revert(result)
        raise OSError("stuck")


def test_a_revert_that_failed_is_told_of_after_a_restart_too(state: StateManager, tmp_path: Path) -> None:
    flow = LinearFlow("f").add(Counted("a", tmp_path), Stuck("b", tmp_path), Bad("c", tmp_path))
    executor = SyncExecutor(state=state)
    executor.atom_notifier.register("revert_failed", lambda *_: executor.suspend())
    assert executor.execute(flow, run_id="run").status is FlowStatus.SUSPENDED
    result = SyncExecutor(state=state).resume("run", flow)
    assert (result.status, sorted(result.failures)) == (FlowStatus.FAILED, ["c", "revert of b"])
    assert SyncExecutor(state=state).resume("run", flow).failures.keys() == result.failures.keys()


def test_a_flow_that_was_not_decided_about_is_decided_about_after_a_restart(state: StateManager, tmp_path: Path) -> None:
    inner = LinearFlow("inner").add(Counted("b", tmp_path))
    flow = GraphFlow("f").add(Counted("a", tmp_path), inner).link("a", "inner", decider=lambda history: False)
    executor = SyncExecutor(state=state)
    suspend_at(executor, "a")
    assert executor.execute(flow, run_id="run").status is FlowStatus.SUSPENDED
    result = SyncExecutor(state=state).resume("run", flow)
    assert (result.status, result.states["b"], count(tmp_path, "b")) == (FlowStatus.COMPLETED, "ignored", 0)


def test_the_history_of_a_controller_outlives_a_suspension(kind: str, state: StateManager, tmp_path: Path) -> None:
    def flow() -> LinearFlow:
        return LinearFlow("f", retry=ForEach([1, 2, 3, 4], provides="value")).add(Picks(tmp_path))

    executor = make_executor(kind, state=state)
    executor.atom_notifier.register("failed", lambda *_: executor.suspend())
    assert executor.execute(flow(), run_id="run").status is FlowStatus.SUSPENDED
    result = make_executor(kind, state=state).resume("run", flow())
    assert (result.status, result.output) == (FlowStatus.COMPLETED, 3)
    assert (tmp_path / "tried").read_text().split() == ["1", "2", "3"]
    history = state.atoms("run")["f_retry"].history
    assert [attempt.value.load() for attempt in history] == [1, 2, 3]
    assert [list(attempt.failures) for attempt in history] == [["picks"], ["picks"], []]


def approved(name: str) -> LinearFlow:
    return LinearFlow("approval").add(WaitForSignal("approved", provides="who"), Says(name))


class Says(Task):
    def execute(self, who: str) -> str:
        return f"{self.name} by {who}"


def test_a_flow_waits_for_a_person(kind: str) -> None:
    executor = make_executor(kind)
    executor.atom_notifier.register("waiting", lambda _, details: executor.signal(details["run_id"], "approved", "eve"))
    assert executor.execute(approved("ordered")).output == "ordered by eve"


def test_a_signal_is_waited_for_over_a_restart_and_comes_through_the_state(kind: str, state: StateManager) -> None:
    first = make_executor(kind, state=state)
    first.atom_notifier.register("waiting", lambda *_: first.suspend())
    assert first.execute(approved("ordered"), run_id="run").status is FlowStatus.SUSPENDED
    assert state.states("run")["wait for approved"] == "waiting"
    state.signal("run", "approved", "ann")
    assert make_executor(kind, state=state).resume("run", approved("ordered")).output == "ordered by ann"


def test_a_signal_that_nobody_sends_times_out(state: StateManager) -> None:
    executor = SyncExecutor(state=state)
    flow = LinearFlow("f").add(WaitForSignal("approved", timeout=0.05))
    with pytest.raises(SignalTimedOut, match=r"nobody sent the signal 'approved' within 0\.05 seconds"):
        executor.execute(flow).unwrap()


class Grows(Task):
    def __init__(self, folder: Path, fails: bool = False) -> None:
        super().__init__("grows", provides={"made"})
        self.folder = folder
        self.fails = fails

    def execute(self) -> Expansion:
        kind = Bad if self.fails else Counted
        return Expansion([Counted("g0", self.folder), kind("g1", self.folder)], result={"made": 2})


class Takes(Task):
    def execute(self, made: int) -> int:
        return made


def test_a_task_makes_more_atoms_while_the_flow_runs(kind: str, state: StateManager, tmp_path: Path) -> None:
    def flow() -> LinearFlow:
        return LinearFlow("f").add(Grows(tmp_path), Takes("last"))

    executor = make_executor(kind, state=state)
    suspend_at(executor, "grows")
    assert executor.execute(flow(), run_id="run").status is FlowStatus.SUSPENDED
    result = make_executor(kind, state=state).resume("run", flow())
    assert (result.status, result.output) == (FlowStatus.COMPLETED, 2)
    assert set(result.states) == {"grows", "g0", "g1", "last"}
    assert [count(tmp_path, name) for name in ("g0", "g1")] == [1, 1]


def test_atoms_made_on_the_way_are_reverted_and_made_again(kind: str, tmp_path: Path) -> None:
    flow = LinearFlow("f", retry=ForEach([1, 2], provides="value")).add(Grows(tmp_path, fails=True), Takes("last"))
    executor = make_executor(kind)
    assert executor.execute(flow).status is FlowStatus.REVERTED
    assert [count(tmp_path, "g1", "ran"), count(tmp_path, "g1", "undone")] == [2, 2]
    assert count(tmp_path, "g0", "ran") == count(tmp_path, "g0", "undone")


class Unstorable(Task):
    def execute(self) -> Any:
        return threading.Lock()


def test_what_cannot_be_stored_reverts_like_any_failure(state: StateManager, tmp_path: Path) -> None:
    result = SyncExecutor(state=state).execute(LinearFlow("f").add(Counted("a", tmp_path), Unstorable("odd")))
    assert result.status is FlowStatus.REVERTED
    assert count(tmp_path, "a", "undone") == 1
    with pytest.raises(CannotStore, match="atom 'odd'"):
        result.unwrap()


class Shapes(Task):
    def execute(self) -> tuple[Any, ...]:
        return ((1, 2), {3, 4}, {5: "six"})


class Mirror(Task):
    def execute(self, t: Any, s: Any, d: Any) -> list[Any]:
        return [t, s, d]


def test_tuples_and_sets_come_back_as_they_went(state: StateManager) -> None:
    def flow() -> LinearFlow:
        return LinearFlow("f").add(Shapes("shapes", provides=("t", "s", "d")), Mirror("mirror"))

    executor = SyncExecutor(state=state)
    suspend_at(executor, "shapes")
    executor.execute(flow(), run_id="run")
    assert SyncExecutor(state=state).resume("run", flow()).output == [(1, 2), {3, 4}, {5: "six"}]


def make_flow(folder: str, *names: str) -> LinearFlow:
    return LinearFlow("made").add(*(Counted(name, Path(folder)) for name in names))


def test_a_flow_is_made_again_by_its_factory(state: StateManager, tmp_path: Path) -> None:
    executor = SyncExecutor(state=state)
    suspend_at(executor, "a")
    flow = make_flow(str(tmp_path), "a", "b")
    executor.execute(flow, run_id="run", factory="tests.engines.test_resume:make_flow", factory_args=(str(tmp_path), "a", "b"))
    assert SyncExecutor(state=state).resume("run").status is FlowStatus.COMPLETED
    assert [count(tmp_path, name) for name in "ab"] == [1, 1]


def test_what_cannot_be_resumed_says_why(state: StateManager, tmp_path: Path) -> None:
    flow = make_flow(str(tmp_path), "a")
    executor = SyncExecutor(state=state)
    with pytest.raises(InvalidSetting, match="cannot be imported"):
        executor.execute(flow, factory="tests.engines.test_resume:nowhere")
    executor.execute(flow, run_id="run")
    with pytest.raises(InvalidSetting, match="without a factory"):
        executor.resume("run")
    with pytest.raises(UnknownRecord):
        executor.resume("other", flow)
    with pytest.raises(VersionConflict):
        executor.execute(flow, run_id="run")
    with pytest.raises(InvalidSetting, match="needs a state"):
        SyncExecutor().resume("run", flow)
    with pytest.raises(InvalidSetting, match="kept in a state"):
        SyncExecutor().execute(flow, factory="tests.engines.test_resume:make_flow")


def test_of_two_that_resume_one_run_the_second_is_fenced_off(state: StateManager, tmp_path: Path) -> None:
    flow = make_flow(str(tmp_path), "a", "b", "c")
    executor = SyncExecutor(state=state)
    suspend_at(executor, "a")
    executor.execute(flow, run_id="run")
    slow, quick = SyncExecutor(state=state), SyncExecutor(state=state)
    run = slow.reopen("run", flow)
    quick.resume("run", flow)
    with pytest.raises(VersionConflict):
        slow.drive(run)
    assert count(tmp_path, "b") == 1


def test_the_history_tells_every_transition(state: StateManager, tmp_path: Path) -> None:
    SyncExecutor(state=state).execute(LinearFlow("f").add(Counted("a", tmp_path), Bad("b", tmp_path)), run_id="run")
    rows = [(row.atom, row.new) for row in state.history("run")]
    assert rows == [
        (None, "pending"),
        (None, "running"),
        ("a", "running"),
        ("a", "completed"),
        ("b", "running"),
        ("b", "failed"),
        ("b", "reverting"),
        ("b", "reverted"),
        ("a", "reverting"),
        ("a", "reverted"),
        (None, "reverted"),
    ]
    assert state.failures("run")["b"].message == "bad"


class Once(Counted):
    def execute(self, order: int = 0) -> str:
        return super().execute()


def test_an_idempotent_atom_is_answered_from_what_is_remembered(kind: str, state: StateManager, tmp_path: Path) -> None:
    executor = make_executor(kind, state=state)
    flow = LinearFlow("f").add(Once("once", tmp_path, idempotent=True))
    for order, ran in ((1, 1), (1, 1), (2, 2)):
        assert executor.execute(flow, {"order": order}).output == "once"
        assert count(tmp_path, "once") == ran
    keyed = LinearFlow("g").add(Once("keyed", tmp_path, idempotency_key="the one"))
    for order in (1, 2):
        assert make_executor(kind, state=state).execute(keyed, {"order": order}).is_completed()
    assert count(tmp_path, "keyed") == 1


def test_what_was_undone_is_not_remembered(kind: str, state: StateManager, tmp_path: Path) -> None:
    executor = make_executor(kind, state=state)
    once = Once("once", tmp_path, idempotent=True)
    assert executor.execute(LinearFlow("f").add(once, Bad("bad", tmp_path)), {"order": 1}).status is FlowStatus.REVERTED
    assert executor.execute(LinearFlow("g").add(once), {"order": 1}).is_completed()
    assert [count(tmp_path, "once"), count(tmp_path, "once", "undone")] == [2, 1]


def double(number: int) -> int:
    return 2 * number


def test_what_was_made_is_remembered_with_who_made_it(kind: str, state: StateManager) -> None:
    fan_out = FanOutFanInPattern(double, [1, 2], sum, provides="total", idempotent=True)
    for run_id in ("first", "second"):
        assert make_executor(kind, state=state).execute(LinearFlow("f").add(fan_out), run_id=run_id).outputs == {"total": 6}


class MakesItself(Task):
    def execute(self) -> Expansion:
        return Expansion([MakesItself(self.name)])


def test_what_could_not_be_laid_out_is_not_looked_for_after_a_restart(state: StateManager, tmp_path: Path) -> None:
    flow = LinearFlow("f").add(Counted("a", tmp_path), MakesItself("b"))
    executor = SyncExecutor(state=state)
    executor.atom_notifier.register("failed", lambda _, details: executor.suspend())
    assert executor.execute(flow, run_id="run").status is FlowStatus.SUSPENDED
    result = SyncExecutor(state=state).resume("run", flow)
    assert (result.status, count(tmp_path, "a", "undone")) == (FlowStatus.REVERTED, 1)


def test_a_failed_idempotent_atom_runs_again(state: StateManager, tmp_path: Path) -> None:
    flow = LinearFlow("f").add(Bad("bad", tmp_path, idempotent=True))
    for ran in (1, 2):
        assert SyncExecutor(state=state).execute(flow).status is FlowStatus.REVERTED
        assert count(tmp_path, "bad") == ran


class Interrupted(Counted):
    """Is interrupted the first time, as by Ctrl-C."""

    def execute(self) -> str:
        super().execute()
        if count(Path(self.folder), self.name) == 1:
            raise KeyboardInterrupt
        return self.name


def test_a_tasks_own_policy_counts_over_a_restart(state: StateManager, tmp_path: Path) -> None:
    policy = RetryPolicy(max_attempts=4, initial_delay_seconds=0.001)
    flow = LinearFlow("f", retry=Times(2)).add(Bad("bad", tmp_path, retry_policy=policy))

    def executor() -> Executor:
        made = SyncExecutor(state=state)
        made.atom_notifier.register("retrying", lambda _, details: made.suspend() if details["task_name"] == "bad" else None)
        return made

    result, suspensions = executor().execute(flow, run_id="run"), 0
    while result.status is FlowStatus.SUSPENDED:
        result, suspensions = executor().resume("run", flow), suspensions + 1
    assert (result.status, suspensions, count(tmp_path, "bad")) == (FlowStatus.REVERTED, 6, 8)


@pytest.mark.parametrize("kind", ["sync", "threads"])
def test_an_interrupt_goes_out_at_once_and_the_run_can_be_resumed(kind: str, state: StateManager, tmp_path: Path) -> None:
    flow = LinearFlow("f").add(Counted("a", tmp_path), Interrupted("b", tmp_path), Counted("c", tmp_path))
    with pytest.raises(KeyboardInterrupt):
        make_executor(kind, state=state).execute(flow, run_id="run")
    assert state.states("run") == {"a": "completed", "b": "running", "c": "pending"}
    assert make_executor(kind, state=state).resume("run", flow).output == "c"
    assert [count(tmp_path, name) for name in "abc"] == [1, 2, 1]


class PressesCtrlC(Counted):
    """Has the process interrupted the first time, as from a terminal."""

    async def execute(self) -> str:  # type: ignore[override]
        super().execute()
        if count(Path(self.folder), self.name) == 1:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(60)
        return self.name


def test_ctrl_c_does_not_cancel_a_run_for_good(state: StateManager, tmp_path: Path) -> None:
    flow = LinearFlow("f").add(Counted("a", tmp_path), PressesCtrlC("b", tmp_path), Counted("c", tmp_path))
    with pytest.raises(KeyboardInterrupt):
        make_executor("async", state=state).execute(flow, run_id="run")
    assert state.run("run").status == "running"
    assert make_executor("async", state=state).resume("run", flow).output == "c"
    assert [count(tmp_path, name) for name in "abc"] == [1, 2, 1]


def test_one_executor_carries_out_several_runs_at_once(kind: str, state: StateManager, tmp_path: Path) -> None:
    executor = make_executor(kind, state=state)
    results = {}

    def work(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        results[number] = executor.execute(make_flow(str(folder), "a", "b", "c"), run_id=f"run{number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [results[number].status for number in range(4)] == [FlowStatus.COMPLETED] * 4
    assert {run.id: run.status for run in state.runs()} == {f"run{number}": "completed" for number in range(4)}
