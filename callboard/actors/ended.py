"""How a task ended that no worker has reported on."""

from __future__ import annotations

from callboard.messages.codec import Packed
from callboard.messages.errors import CallboardError
from callboard.messages.failure import Failure
from callboard.messages.status import TaskStatus


class Ended:
    """The outcome of a task that never reached the manager, or whose manager has gone."""

    __slots__ = ("attempts", "error", "failure", "micros", "name", "output", "status", "task_id", "worker_name")

    def __init__(self, task_id: str, name: str, error: str | None, failure: Failure | None, status: TaskStatus = TaskStatus.FAILED) -> None:
        self.task_id = task_id
        self.name = name
        self.status = status
        self.error = error
        self.failure = failure
        self.output: Packed | None = None
        self.worker_name: str | None = None
        self.attempts = 0
        self.micros = 0

    @classmethod
    def by(cls, task_id: str, name: str, error: CallboardError) -> Ended:
        """Ended FAILED by an error of ours."""
        return cls(task_id, name, str(error), Failure.of(error))
