"""What an engine may write into the journal of a run: changes as values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypedDict, Unpack

from callboard.messages.failure import Failure
from callboard.state.record import RetryAttempt
from callboard.state.value import StoredValue


class AtomFields(TypedDict, total=False):
    """The fields of an atom's record that can change."""

    state: str
    attempts: int
    progress: float
    version: tuple[int, int]
    result: StoredValue | None
    failure: Failure | None
    revert_result: StoredValue | None
    revert_failure: Failure | None
    history: Sequence[RetryAttempt]
    meta: StoredValue | None


class AtomChange:
    """What becomes of an atom. What is not given stays as it was; None clears a result, a failure or the meta.

    Values come as `StoredValue`, made by `encode`, so that what cannot be stored is found out while the atom can still
    fail for it. A change of ``state``, or one with ``details``, makes a row in the history.
    """

    __slots__ = ("details", "fields", "name")

    def __init__(self, name: str, *, details: StoredValue | None = None, **fields: Unpack[AtomFields]) -> None:
        self.name = name
        self.details = details
        self.fields = fields


class FlowChange(NamedTuple):
    """What becomes of the flow itself; always a row in the history."""

    status: str
    details: StoredValue | None = None


class StoreValue(NamedTuple):
    """Keep a value beside the run, found in `RunSnapshot.values`. One of the same name is replaced."""

    name: str
    value: StoredValue


RunChange = AtomChange | FlowChange | StoreValue
