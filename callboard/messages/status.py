"""States of a task and the one table of their transitions."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from callboard.messages.errors import IllegalTransition


class TaskStatus(StrEnum):
    """Where a task stands. Retry waits are PENDING; SKIPPED means that a dependency did not complete."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


TASK_TRANSITIONS: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.PENDING: frozenset({TaskStatus.RUNNING, TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.SKIPPED}),
    TaskStatus.RUNNING: frozenset({TaskStatus.PENDING, TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED}),
    TaskStatus.COMPLETED: frozenset(),
    TaskStatus.FAILED: frozenset(),
    TaskStatus.CANCELLED: frozenset(),
    TaskStatus.SKIPPED: frozenset(),
}
"""PENDING may end at once as COMPLETED: an answer by idempotency key, or a fallback that is a value."""

STATUSES: Mapping[str, TaskStatus] = {status.value: status for status in TaskStatus}
"""Each by what travels of it: to call the enumeration takes several calls of Python."""

FINAL = frozenset(status for status, following in TASK_TRANSITIONS.items() if not following)

State = TypeVar("State", bound=StrEnum)


def check_transition(table: Mapping[State, frozenset[State]], old: State, new: State, subject: str) -> None:
    """Raise `IllegalTransition` unless ``table`` allows ``old`` to be followed by ``new``."""
    if new not in table[old]:
        raise IllegalTransition(f"{subject} cannot go from {old.name} to {new.name}")
