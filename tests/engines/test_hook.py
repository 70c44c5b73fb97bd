"""Steps around an atom's work, and what is written of a revert."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from callboard.engines import Executor, SyncExecutor
from callboard.flows import LinearFlow, Task
from callboard.state import StateManager
from tests.engines.conftest import make_executor


class Hooked(Task):
    """Writes down in which order its steps are called; some of them raise."""

    def __init__(self, name: str, log: Path, *bad: str, **declared: Any) -> None:
        super().__init__(name, **declared)
        self.log = log
        self.bad = bad

    def step(self, what: str) -> None:
        with self.log.open("a") as lines:
            lines.write(f"{what} {self.name}\n")
        if what in self.bad:
            raise ValueError(what)

    def pre_execute(self) -> None:
        self.step("pre_execute")

    def execute(self) -> str:
        self.step("execute")
        return self.name

    def post_execute(self) -> None:
        self.step("post_execute")

    def pre_revert(self) -> None:
        self.step("pre_revert")

    def revert(self) -> str:
        self.step("revert")
        return f"no {self.name}"

    def post_revert(self) -> None:
        self.step("post_revert")


class AsyncHooked(Hooked):
    async def execute(self) -> str:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().execute()

    async def revert(self) -> str:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().revert()


class Breaks(Task):
    def execute(self) -> None:
        raise OSError("b")


FORWARD = ["pre_execute a", "execute a", "post_execute a"]
BACK = ["pre_revert a", "revert a", "post_revert a"]


@pytest.mark.parametrize("made", [Hooked, AsyncHooked])
@pytest.mark.parametrize(
    ("bad", "steps", "status"),
    [
        ("", FORWARD, "completed"),
        ("pre_execute", ["pre_execute a", "post_execute a", *BACK], "reverted"),
        ("execute", [*FORWARD, *BACK], "reverted"),
        ("post_execute", [*FORWARD, *BACK], "reverted"),
        ("pre_revert", [*FORWARD, "pre_revert a", "post_revert a"], "failed"),
        ("post_revert", [*FORWARD, *BACK], "failed"),
    ],
)
def test_steps_around_an_atom_are_part_of_it(
    executor: Executor, tmp_path: Path, made: type[Hooked], bad: str, steps: list[str], status: str
) -> None:
    flow = LinearFlow("hooked").add(made("a", tmp_path / "log", bad))
    if status == "failed":
        flow.add(Breaks("b"))
    result = executor.execute(flow)
    assert result.status == status, result.error
    assert (tmp_path / "log").read_text().splitlines() == steps
    if bad:
        assert bad in [str(error) for error in result.exceptions]


def test_what_a_revert_gave_and_versions_are_on_record(kind: str, tmp_path: Path) -> None:
    with StateManager(f"sqlite:///{tmp_path}/runs.db") as state:
        executor = make_executor(kind, state=state)
        flow = LinearFlow("hooked").add(Hooked("a", tmp_path / "log", version=(2, 1)), Breaks("b"))
        assert executor.execute(flow, run_id="r").status == "reverted"
        atoms = state.atoms("r")
        assert atoms["a"].version == (2, 1) and atoms["b"].version == (1, 0)
        given = atoms["a"].revert_result
        assert given is not None and given.load() == "no a" and atoms["a"].result is None
        assert atoms["b"].revert_result is None


class Unstorable(Task):
    def execute(self) -> None: ...

    def revert(self) -> Any:
        return threading.Lock()


def test_what_a_revert_gives_must_be_storable() -> None:
    executor = SyncExecutor(state="memory:")
    result = executor.execute(LinearFlow("f").add(Unstorable("a"), Breaks("b")), run_id="r")
    assert result.status == "failed" and result.states["a"] == "revert_failed"
    assert "the result of the revert of atom 'a' cannot be stored" in str(result.error)
