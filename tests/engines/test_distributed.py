from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from callboard.actors import ProcessRequest, ProcessWorker
from callboard.engines import DistributedExecutor, Phase, SyncExecutor, run
from callboard.flows import FlowStatus, LinearFlow, Task, UnorderedFlow
from callboard.messages.errors import InvalidSetting, NoCapableWorker, PlaygroundClosed, WorkerDied
from callboard.playground import Playground, connect
from callboard.state import StateManager
from tests.engines.conftest import Heard
from tests.port import free_port


class Painter(ProcessWorker):
    def process(self, request: ProcessRequest) -> str:
        return f"{self.name} painted {request.input_data['what']} {request.input_data['colour']}"


class Disk(Task):
    def execute(self, colour: str) -> str:
        return f"{colour} kept"

    def revert(self, result: Any) -> None:
        self.notify("wiped")


class Breaks(Task):
    def execute(self) -> None:
        raise OSError("no")


class Sum(Task):
    def execute(self, x: int, y: int, z: int) -> int:
        return x + y + z


class First(Task):
    def execute(self, x: int) -> int:
        return x // x


class Kills(Task):
    """Ends its process the first time."""

    def __init__(self, mark: Path, times: int = 1) -> None:
        super().__init__("kills")
        self.mark, self.times = str(mark), times

    def execute(self) -> int:
        with open(self.mark, "a+") as marks:
            marks.write("x")
            marks.flush()
            if marks.tell() <= self.times:
                os.kill(os.getpid(), signal.SIGKILL)
            return marks.tell()


@pytest.fixture(scope="module")
def crew() -> Iterator[Playground]:
    """Two plain workers of which one knows disks, and a painter."""
    workers = [
        ProcessWorker("plain", role="python"),
        ProcessWorker("keeper", role="python", skills={"disk": 3, "math": 1}),
        Painter("ada", role="paint"),
    ]
    with Playground("crew").play(workers=workers) as stage:
        yield stage


def test_an_atom_goes_to_who_can_do_it(crew: Playground) -> None:
    executor = DistributedExecutor(crew)
    heard = Heard(executor)
    flow = LinearFlow("f").add(
        Task("paint", processor="paint", requires=["colour"], input_data={"what": "a cat"}, provides="painted"),
        Disk("keep", skills={"disk": 2}, provides="kept"),
        Breaks(),
    )
    result = executor.execute(flow, {"colour": "red"})
    assert result.status is FlowStatus.REVERTED
    assert heard.said("completed")[0]["result"] == "ada painted a cat red"
    assert heard.said("completed")[1]["result"] == "red kept"
    assert len(heard.said("wiped")) == 1


def test_the_short_form_runs_on_workers(crew: Playground) -> None:
    flow = UnorderedFlow("f").add(First("first", provides="result1"), Sum("sum", skills={"math"}, provides="result2"))
    found = run(flow, engine="workers", store={"x": 111, "y": 222, "z": 333}, stage=crew)
    assert (found["result1"], found["result2"]) == (1, 666)


def test_a_worker_that_is_killed_costs_an_attempt_and_not_the_flow(crew: Playground, tmp_path: Path) -> None:
    flow = LinearFlow("f").add(First("before", provides="one"), Kills(tmp_path / "marks"), First("after"))
    result = DistributedExecutor(crew).execute(flow, {"x": 7})
    assert result.status is FlowStatus.COMPLETED
    assert (tmp_path / "marks").read_text() == "xx"


def test_an_atom_that_kills_every_worker_fails_by_name(crew: Playground, tmp_path: Path) -> None:
    result = DistributedExecutor(crew).execute(LinearFlow("f").add(First("before"), Kills(tmp_path / "marks", times=99)), {"x": 7})
    assert result.status is FlowStatus.REVERTED
    with pytest.raises(WorkerDied):
        result.unwrap()


def test_what_nobody_can_do_ends_in_its_named_error(crew: Playground) -> None:
    flow = LinearFlow("f").add(First("before"), Disk("keep", skills={"disk": 9}, expires_in=0.3))
    result = DistributedExecutor(crew).execute(flow, {"x": 1, "colour": "red"})
    assert result.status is FlowStatus.REVERTED
    with pytest.raises(NoCapableWorker):
        result.unwrap()


class Undoable(Task):
    def execute(self) -> str:
        time.sleep(0.01)
        return self.name

    def revert(self, result: Any) -> None:
        raise AssertionError("nothing has failed that would have to be undone")


def test_a_playground_that_ends_first_is_a_crash_and_no_failure(tmp_path: Path) -> None:
    flow = LinearFlow("f").add(Undoable("a"), Undoable("b"), Undoable("c"))
    with StateManager(f"sqlite:///{tmp_path}/runs.db") as state:
        with Playground().play(workers=1) as stage:
            steps = DistributedExecutor(stage, state=state).run_iter(flow, run_id="run")
            next(step for step in steps if step == Phase.ANALYZING)
        with pytest.raises(PlaygroundClosed):
            list(steps)
        assert (state.run("run").status, state.states("run")["c"]) == ("running", "pending")
        assert SyncExecutor(state=state).resume("run", flow).output == "c"


class Slow(Undoable):
    def execute(self) -> str:
        time.sleep(0.5)
        return self.name


def test_a_connection_that_is_closed_under_a_run_is_a_crash_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_HOME", str(tmp_path / "home"))
    flow = LinearFlow("f").add(Undoable("a"), Slow("b"), Undoable("c"))
    with StateManager(f"sqlite:///{tmp_path}/runs.db") as state, Playground(port=free_port()).play(workers=1) as stage:
        assert stage.address is not None
        connection = connect(stage.address)
        executor = DistributedExecutor(connection, state=state)
        executor.atom_notifier.register("completed", lambda *_: Timer(0.1, connection.close).start())
        with pytest.raises(PlaygroundClosed, match="while task 'b' was with it"):
            executor.execute(flow, run_id="run")
        assert DistributedExecutor(stage, state=state).resume("run", flow).output == "c"


def test_a_stage_is_needed() -> None:
    with pytest.raises(InvalidSetting, match="stage must be a playground"):
        DistributedExecutor(3)  # type: ignore[arg-type]
    with pytest.raises(InvalidSetting, match="goes with engine='workers'"):
        run(LinearFlow("f"), stage=3)
    with pytest.raises(InvalidSetting, match="engine must be"):
        run(LinearFlow("f"), engine="steam")
