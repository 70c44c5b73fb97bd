"""What an engine may write into the journal of a run: changes as values."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

from callboard.messages.failure import Failure
from callboard.state.record import RetryAttempt
from callboard.state.value import StoredValue


class Keep(Enum):
    """The type of `KEEP`."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP
"""In a change: leave this field as it is."""


class AtomChange(NamedTuple):
    """What becomes of an atom. What is not given stays as it was; None clears a result, a failure or the meta.

    Values come as `StoredValue`, made by `encode`, so that what cannot be stored is found out while the atom can still
    fail for it. A change of ``state``, or one with ``details``, makes a row in the history.
    """

    name: str
    state: str | Keep = KEEP
    attempts: int | Keep = KEEP
    progress: float | Keep = KEEP
    version: tuple[int, int] | Keep = KEEP
    result: StoredValue | Keep | None = KEEP
    failure: Failure | Keep | None = KEEP
    revert_result: StoredValue | Keep | None = KEEP
    revert_failure: Failure | Keep | None = KEEP
    history: Sequence[RetryAttempt] | Keep = KEEP
    meta: StoredValue | Keep | None = KEEP
    details: StoredValue | None = None


class FlowChange(NamedTuple):
    """What becomes of the flow itself; always a row in the history."""

    status: str
    details: StoredValue | None = None


class StoreValue(NamedTuple):
    """Keep a value beside the run, found in `RunSnapshot.values`. One of the same name is replaced."""

    name: str
    value: StoredValue


RunChange = AtomChange | FlowChange | StoreValue
