"""A process killed at each of its writes leaves whole transactions behind."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from callboard.messages.errors import InvalidSetting
from callboard.state.crash import VARIABLE
from callboard.state.manager import StateManager
from callboard.state.memory import MemoryStore
from tests.state.program import run_program

PROGRAM = """
import sys
from callboard.state import AtomChange, FlowChange, StateManager, encode

journal = StateManager(sys.argv[1]).begin("r", "ingest", atoms=["a", "b"])
journal.commit([FlowChange("running"), AtomChange("a", state="running")])
journal.commit([AtomChange("a", state="completed", result=encode(1, "r")), AtomChange("b", state="running")])
journal.commit([AtomChange("b", state="completed"), FlowChange("completed")])
print("survived")
"""

STAGES: list[tuple[str, dict[str, str]] | None] = [
    None,
    ("pending", {"a": "pending", "b": "pending"}),
    ("running", {"a": "running", "b": "pending"}),
    ("running", {"a": "completed", "b": "running"}),
    ("completed", {"a": "completed", "b": "completed"}),
]


@pytest.mark.parametrize("point", ["1", "1+", "2", "2+", "3", "3+", "4", "4+"])
def test_killed_at_a_write(shared_url: str, tmp_path: Path, point: str) -> None:
    ended = run_program(PROGRAM, tmp_path, shared_url, CALLBOARD_CRASH_AT=point)
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, ""), ended.stderr
    written = int(point[0]) - (0 if point.endswith("+") else 1)
    with StateManager(shared_url) as manager:
        if written == 0:
            assert manager.runs() == []
            return
        stage = (manager.run("r").status, manager.states("r"))
        assert stage == STAGES[written]
        assert len(manager.history("r")) == [1, 3, 5, 7][written - 1]


def test_a_point_that_is_never_reached_does_nothing(tmp_path: Path) -> None:
    ended = run_program(PROGRAM, tmp_path, "memory:", CALLBOARD_CRASH_AT="5")
    assert (ended.returncode, ended.stdout) == (0, "survived\n")


@pytest.mark.parametrize("point", ["0", "x", "+", "1++", "-1"])
def test_a_point_that_is_no_number(point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, point)
    with pytest.raises(InvalidSetting, match="CALLBOARD_CRASH_AT"):
        StateManager()


def test_unset_it_is_not_there() -> None:
    store = MemoryStore()
    assert StateManager(store).store is store
