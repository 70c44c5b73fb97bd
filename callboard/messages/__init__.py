"""Floor 0: what is said. States, failures as values, errors, and the models that travel."""

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
