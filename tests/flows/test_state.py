from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import pytest

from callboard.flows import AtomState, FlowStatus
from callboard.flows.state import ATOM_TRANSITIONS, CLEAR, DONE, ENDED, FLOW_TRANSITIONS, TASKFLOW_NAMES
from callboard.messages.status import TaskStatus

DOCUMENT = Path(__file__).parents[2] / "docs" / "flows.md"


def diagram(table: Mapping[StrEnum, frozenset[StrEnum]]) -> str:
    """The table as a mermaid state diagram, in the order in which the states are declared."""
    states = list(table)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {states[0].name}"]
    for state in states:
        lines += [f"    {state.name} --> {following.name}" for following in states if following in table[state]]
    lines += [f"    {state.name} --> [*]" for state in states if not table[state]]
    return "\n".join([*lines, "```"])


@pytest.mark.parametrize("table", [ATOM_TRANSITIONS, FLOW_TRANSITIONS], ids=["atoms", "flows"])
def test_the_document_draws_the_tables_as_they_are(table: Mapping[StrEnum, frozenset[StrEnum]]) -> None:
    assert diagram(table) in DOCUMENT.read_text(), f"docs/flows.md should hold:\n{diagram(table)}"


def test_the_document_names_every_state_as_taskflow_does() -> None:
    text = DOCUMENT.read_text()
    for state, name in TASKFLOW_NAMES.items():
        assert f"| {state.name} | {name} |" in text


def test_every_state_is_in_its_table_and_can_be_reached() -> None:
    assert list(ATOM_TRANSITIONS) == list(AtomState)
    assert list(FLOW_TRANSITIONS) == list(FlowStatus)
    for table in (ATOM_TRANSITIONS, FLOW_TRANSITIONS):
        reached = set().union(*table.values())
        assert {state.name for state in table if state not in reached} <= {"PENDING"}


def test_states_are_texts_and_those_of_tasks_mean_the_same() -> None:
    assert str(FlowStatus.COMPLETED) == str(TaskStatus.COMPLETED) == "completed"
    assert frozenset({FlowStatus.COMPLETED, FlowStatus.REVERTED, FlowStatus.FAILED, FlowStatus.CANCELLED}) == ENDED
    assert not CLEAR & DONE
