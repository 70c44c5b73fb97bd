"""What the log book keeps: books hold runs of flows, runs hold atoms, and all that happened to them stays in a history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from callboard.messages.failure import Failure
from callboard.state.value import StoredValue

PENDING = "pending"
"""The state of a run that has begun and of an atom of which nothing was ever written."""


class Kept(BaseModel):
    """Base of what the log book keeps. Times are seconds since the epoch."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LogBook(Kept):
    """A volume of runs that belong together. ``id`` is unique in its store, ``name`` need not be."""

    id: str
    name: str
    meta: StoredValue
    created: float


class Factory(Kept):
    """How a flow is built again in another process: an importable callable, ``module:name``, and its arguments."""

    name: str
    args: StoredValue
    kwargs: StoredValue


class FlowRecord(Kept):
    """One run of a flow. ``inputs`` are those it began with; ``atoms`` are the names it began with, in their order."""

    id: str
    name: str
    book: str | None
    status: str
    factory: Factory | None
    inputs: dict[str, StoredValue]
    atoms: tuple[str, ...]
    meta: StoredValue
    created: float
    updated: float


class RetryAttempt(Kept):
    """One line of a retry's history: the value that it provided, and what failed under it."""

    value: StoredValue
    failures: dict[str, Failure]


class AtomRecord(Kept):
    """Where an atom of a run stands. ``result`` is None until there is one; a stored None is a `StoredValue`.

    ``version`` is the declared version of the atom's code, for those who must tell old results from new ones.
    """

    run_id: str
    name: str
    state: str = PENDING
    attempts: int = 0
    progress: float = 0.0
    version: tuple[int, int] = (1, 0)
    result: StoredValue | None = None
    failure: Failure | None = None
    revert_result: StoredValue | None = None
    revert_failure: Failure | None = None
    history: tuple[RetryAttempt, ...] = ()
    meta: StoredValue | None = None


class HistoryRow(Kept):
    """One change of a run: of an atom, or of the flow itself where ``atom`` is None. ``sequence`` counts from 1."""

    run_id: str
    sequence: int
    time: float
    atom: str | None
    old: str | None
    new: str
    details: StoredValue | None = None


@dataclass(slots=True, frozen=True)
class RunSnapshot:
    """A run as it stands: the flow, all its atoms (those without a record as PENDING), and the values stored on the way."""

    flow: FlowRecord
    atoms: Mapping[str, AtomRecord]
    values: Mapping[str, StoredValue]


class Saved(Kept):
    """One version of a named state. ``version`` counts from 1."""

    name: str
    version: int
    time: float
    value: StoredValue

    def load(self) -> Any:
        """A fresh copy of the value."""
        return self.value.load()
