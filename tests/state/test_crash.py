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

WRITES = """
import os, sys
from callboard.state import AtomChange, FlowChange, StateManager, encode

def write(url, run):
    journal = StateManager(url).begin(run, "ingest", atoms=["a", "b"])
    journal.commit([FlowChange("running"), AtomChange("a", state="running")])
    journal.commit([AtomChange("a", state="completed", result=encode(1, "r")), AtomChange("b", state="running")])
    journal.commit([AtomChange("b", state="completed"), FlowChange("completed")])
    print("survived", run, flush=True)
"""

PROGRAM = (
    WRITES
    + """
# Forks for each point, which is quicker than to begin anew.
for point in sys.argv[2:]:
    child = os.fork()
    if child == 0:
        os.environ["CALLBOARD_CRASH_AT"] = point
        write(sys.argv[1], point)
        os._exit(0)
    print(point, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
)

POINTS = ("1", "1+", "2", "2+", "3", "3+", "4", "4+")

STAGES: list[tuple[str, dict[str, str]] | None] = [
    None,
    ("pending", {"a": "pending", "b": "pending"}),
    ("running", {"a": "running", "b": "pending"}),
    ("running", {"a": "completed", "b": "running"}),
    ("completed", {"a": "completed", "b": "completed"}),
]


def test_killed_at_a_write(shared_url: str, tmp_path: Path) -> None:
    ended = run_program(PROGRAM, tmp_path, shared_url, *POINTS)
    assert ended.stdout.splitlines() == [f"{point} {-signal.SIGKILL}" for point in POINTS], ended.stderr
    with StateManager(shared_url) as manager:
        for point in POINTS:
            written = int(point[0]) - (0 if point.endswith("+") else 1)
            if written == 0:
                assert point not in [run.id for run in manager.runs()]
                continue
            assert (manager.run(point).status, manager.states(point)) == STAGES[written]
            assert len(manager.history(point)) == [1, 3, 5, 7][written - 1]


def test_a_point_that_is_never_reached_does_nothing(tmp_path: Path) -> None:
    ended = run_program(WRITES + "write('memory:', 'r')", tmp_path, CALLBOARD_CRASH_AT="5")
    assert (ended.returncode, ended.stdout) == (0, "survived r\n")


@pytest.mark.parametrize("point", ["0", "x", "+", "1++", "-1"])
def test_a_point_that_is_no_number(point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, point)
    with pytest.raises(InvalidSetting, match="CALLBOARD_CRASH_AT"):
        StateManager()


def test_unset_it_is_not_there() -> None:
    store = MemoryStore()
    assert StateManager(store).store is store
