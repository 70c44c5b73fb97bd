"""Floor 0: what is said. States, failures as values, errors, and the models that travel.

Names are loaded when they are first used: a script that enters a block needs few of them before its workers start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callboard.messages.lookup import lookup

if TYPE_CHECKING:
    from callboard.messages.event import TASK_TOPICS, WORKER_TOPICS, Event
    from callboard.messages.failure import Failure
    from callboard.messages.result import TaskResult
    from callboard.messages.status import FINAL, TASK_TRANSITIONS, TaskStatus, check_transition

__all__ = [
    "FINAL",
    "TASK_TOPICS",
    "TASK_TRANSITIONS",
    "WORKER_TOPICS",
    "Event",
    "Failure",
    "TaskResult",
    "TaskStatus",
    "check_transition",
]

_HOMES = {
    "FINAL": "status",
    "TASK_TOPICS": "event",
    "TASK_TRANSITIONS": "status",
    "WORKER_TOPICS": "event",
    "Event": "event",
    "Failure": "failure",
    "TaskResult": "result",
    "TaskStatus": "status",
    "check_transition": "status",
}

if not TYPE_CHECKING:
    __getattr__ = lookup(__name__, _HOMES)
