"""What cannot work is refused before anything runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from callboard.engines import SyncExecutor
from callboard.flows import LinearFlow, UnorderedFlow
from callboard.messages.errors import CannotStore, InvalidFlow, InvalidSetting, InvalidTask, UnknownRecord
from callboard.state import MemoryStore, StateManager
from tests.engines.test_scenario import Note


@pytest.mark.parametrize(
    ("name", "why"),
    [("\ud800", "no text that UTF-8 can encode"), ("x" * 513, "512 bytes at most"), ("é" * 257, "has 514"), ("/" * 171, "has 513")],
)
def test_a_name_that_no_store_could_keep_is_refused_before_anything_runs(name: str, why: str) -> None:
    with pytest.raises(InvalidFlow, match=why):
        SyncExecutor().execute(LinearFlow("f").add(Note("a"), Note(name)))


def test_names_of_all_kinds_are_kept(tmp_path: Path) -> None:
    names = ["a/b", "a%2Fb", "a\0b", "a\nb", " ", "é" * 256, "x" * 512, "/" * 170]
    with StateManager(f"sqlite:///{tmp_path}/runs.db") as state:
        assert SyncExecutor(state=state).execute(UnorderedFlow("f").add(*map(Note, names)), run_id="r" * 200).success
        assert state.states("r" * 200) == dict.fromkeys(names, "completed")
        with pytest.raises(CannotStore, match="200 bytes at most"):
            SyncExecutor(state=state).execute(Note("a"), run_id="r" * 201)


@pytest.mark.parametrize("deadline", [0, -1, math.nan, math.inf, "soon", True])
def test_a_deadline_is_a_number_of_seconds(deadline: Any) -> None:
    with pytest.raises(InvalidSetting, match="deadline must be a number of seconds above zero"):
        SyncExecutor().execute(Note("a"), deadline=deadline)


def test_names_of_inputs_are_texts() -> None:
    with pytest.raises(InvalidFlow, match="the names of initial inputs are texts, not 1"):
        SyncExecutor(state="memory:").execute(Note("a"), {1: 2})  # type: ignore[dict-item]


def test_flows_too_deep_are_refused() -> None:
    flow = LinearFlow("f")
    for number in range(3000):
        flow = LinearFlow(f"f{number}").add(flow)
    with pytest.raises(InvalidFlow, match="too deep"):
        SyncExecutor().execute(flow)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"run_id": 5}, "run_id must be a text that is not empty, not 5"),
    ({"run_id": ""}, "run_id must be a text that is not empty, not ''"),
    ({"factory": 5}, "written 'module:function', not 5"),
    ({"factory": Note}, "written 'module:function', not <class"),
    ({"factory": "builtins:list", "factory_args": "ab"}, "factory_args are .* in a list or tuple, not 'ab'"),
    ({"factory": "builtins:list", "factory_args": 5}, "factory_args are .* in a list or tuple, not 5"),
    ({"factory": "builtins:list", "factory_kwargs": [1]}, r"factory_kwargs are .* in a dict, not \[1\]"),
]


@pytest.mark.parametrize(("options", "why"), WRONG)
def test_what_a_run_is_begun_with_is_looked_at_first(options: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidSetting, match=why):
        SyncExecutor(state="memory:").execute(Note("a"), **options)


def test_an_executor_takes_a_state_and_an_emitter() -> None:
    with pytest.raises(InvalidSetting, match="state must be a StateManager, or the URL of a store"):
        SyncExecutor(state=MemoryStore())  # type: ignore[arg-type]
    with pytest.raises(InvalidSetting, match="emitter must be an EventEmitter, not 5"):
        SyncExecutor(emitter=5)  # type: ignore[arg-type]


def test_what_is_no_name_of_a_run_or_signal_is_said() -> None:
    executor: Any = SyncExecutor(state="memory:")
    executor.execute(Note("a"), run_id="run")
    with pytest.raises(UnknownRecord):
        executor.resume(None)
    with pytest.raises(InvalidTask, match="name of a signal must be a text that is not empty, not 5"):
        executor.signal("run", 5)
    with pytest.raises(InvalidSetting, match="a text that is not empty, not ''"):
        executor.state.signal("run", "")
