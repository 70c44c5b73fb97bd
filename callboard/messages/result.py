"""What a caller gets for a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from callboard.messages.errors import CallboardError, TaskCancelled, TaskFailed, TaskSkipped
from callboard.messages.status import TaskStatus

if TYPE_CHECKING:
    from callboard.messages.failure import Failure


@dataclass(slots=True, frozen=True)
class TaskResult:
    """How a task ended.

    ``success`` is true exactly when ``status`` is COMPLETED. ``error`` is a text, ``failure`` the `Failure` where
    something was raised. ``worker`` is the name of the one that ran the last attempt. ``attempts`` counts executions
    begun, those cut short by a death included. ``duration`` is the last attempt's run time in seconds.
    """

    task_id: str
    name: str
    status: TaskStatus
    output: Any = None
    error: str | None = None
    failure: Failure | None = None
    worker: str | None = None
    attempts: int = 0
    duration: float = 0.0

    @property
    def success(self) -> bool:
        """Whether the task completed."""
        return self.status is TaskStatus.COMPLETED

    def is_completed(self) -> bool:
        """Whether the task completed; the same as `success`."""
        return self.status is TaskStatus.COMPLETED

    def unwrap(self) -> Any:
        """Return the output, or raise with the original exception as cause and the worker's traceback in the text."""
        if self.status is TaskStatus.COMPLETED:
            return self.output
        cause = self.failure.exception() if self.failure else None
        if isinstance(cause, CallboardError):
            raise cause
        raise self.as_error() from cause

    def as_error(self) -> CallboardError:
        """Return the error that tells of this ending: cancelled, skipped or failed."""
        text = f"task {self.name!r} ({self.task_id}) {self.status.value}"
        if self.worker:
            text += f" on worker {self.worker!r}"
        if self.error:
            text += f": {self.error}"
        if self.status is TaskStatus.CANCELLED:
            return TaskCancelled(text)
        if self.status is TaskStatus.SKIPPED:
            return TaskSkipped(text)
        if self.failure and self.failure.traceback:
            text += "\n\nTraceback on the worker:\n" + self.failure.traceback.rstrip()
        return TaskFailed(text)


class _Draft:
    """A `TaskResult` that can still be written: a frozen one sets its fields by a call each, which is most of what making it costs."""

    __slots__ = TaskResult.__slots__


def draw_up(
    task_id: str,
    name: str,
    status: TaskStatus,
    output: Any,
    error: str | None,
    failure: Failure | None,
    worker: str | None,
    attempts: int,
    duration: float,
) -> TaskResult:
    """What `TaskResult` makes of these, sooner; for who makes one for each task."""
    draft: Any = _Draft()
    draft.task_id = task_id
    draft.name = name
    draft.status = status
    draft.output = output
    draft.error = error
    draft.failure = failure
    draft.worker = worker
    draft.attempts = attempts
    draft.duration = duration
    draft.__class__ = TaskResult
    return draft  # type: ignore[no-any-return]
