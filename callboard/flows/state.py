"""States of atoms and of flows' runs, with their tables of transitions."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class AtomState(StrEnum):
    """Where an atom of a run stands.

    IGNORED: a decider said no. RETRYING: it will run again, after a delay perhaps. WAITING: for a signal, such as a
    person's approval.
    """

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    IGNORED = "ignored"
    RETRYING = "retrying"
    REVERTING = "reverting"
    REVERTED = "reverted"
    REVERT_FAILED = "revert_failed"


class FlowStatus(StrEnum):
    """Where a run of a flow stands. FAILED: something could not be undone, or nothing could be tried to undo it."""

    PENDING = "pending"
    RUNNING = "running"
    SUSPENDING = "suspending"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    REVERTED = "reverted"
    FAILED = "failed"
    CANCELLED = "cancelled"


WORDS = frozenset((*map(str, AtomState), *map(str, FlowStatus), "progress"))
"""What listeners are told by the library itself, and so is no topic of a task's own."""


_A = AtomState
ATOM_TRANSITIONS: Mapping[AtomState, frozenset[AtomState]] = {
    _A.PENDING: frozenset({_A.RUNNING, _A.WAITING, _A.IGNORED, _A.FAILED}),
    _A.RUNNING: frozenset({_A.COMPLETED, _A.FAILED, _A.RETRYING}),
    _A.WAITING: frozenset({_A.COMPLETED, _A.FAILED, _A.PENDING}),
    _A.COMPLETED: frozenset({_A.REVERTING, _A.RETRYING}),
    _A.FAILED: frozenset({_A.REVERTING}),
    _A.IGNORED: frozenset({_A.PENDING}),
    _A.RETRYING: frozenset({_A.RUNNING, _A.FAILED, _A.REVERTING}),
    _A.REVERTING: frozenset({_A.REVERTED, _A.REVERT_FAILED}),
    _A.REVERTED: frozenset({_A.PENDING}),
    _A.REVERT_FAILED: frozenset(),
}
"""PENDING may fail at once (its inputs or a decider did); COMPLETED to RETRYING is a controller's way to another try."""

_F = FlowStatus
_ENDINGS = frozenset({_F.COMPLETED, _F.REVERTED, _F.FAILED, _F.CANCELLED})
FLOW_TRANSITIONS: Mapping[FlowStatus, frozenset[FlowStatus]] = {
    _F.PENDING: frozenset({_F.RUNNING, _F.SUSPENDED, _F.CANCELLED}),
    _F.RUNNING: _ENDINGS | {_F.SUSPENDING, _F.SUSPENDED},
    _F.SUSPENDING: _ENDINGS | {_F.SUSPENDED},
    _F.SUSPENDED: frozenset({_F.RUNNING, _F.CANCELLED}),
    _F.COMPLETED: frozenset(),
    _F.REVERTED: frozenset(),
    _F.FAILED: frozenset(),
    _F.CANCELLED: frozenset(),
}

ENDED = frozenset(status for status, following in FLOW_TRANSITIONS.items() if not following)
CLEAR = frozenset({AtomState.PENDING, AtomState.REVERTED, AtomState.REVERT_FAILED})
"""States of an atom over which those before it can be reverted: it did nothing, or nothing more can be undone."""
DONE = frozenset({AtomState.COMPLETED, AtomState.IGNORED})
"""States of an atom after which those behind it may run."""

TASKFLOW_NAMES: Mapping[StrEnum, str] = {
    AtomState.PENDING: "PENDING",
    AtomState.RUNNING: "RUNNING",
    AtomState.COMPLETED: "SUCCESS",
    AtomState.FAILED: "FAILURE",
    AtomState.IGNORED: "IGNORE",
    AtomState.RETRYING: "RETRYING",
    AtomState.REVERTING: "REVERTING",
    AtomState.REVERTED: "REVERTED",
    AtomState.REVERT_FAILED: "REVERT_FAILURE",
    FlowStatus.PENDING: "PENDING",
    FlowStatus.RUNNING: "RUNNING",
    FlowStatus.SUSPENDING: "SUSPENDING",
    FlowStatus.SUSPENDED: "SUSPENDED",
    FlowStatus.COMPLETED: "SUCCESS",
    FlowStatus.REVERTED: "REVERTED",
    FlowStatus.FAILED: "FAILURE",
}
"""What OpenStack TaskFlow calls the same; it knows no WAITING and no CANCELLED."""
