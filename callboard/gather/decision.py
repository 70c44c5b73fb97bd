"""What fan-in decides, as values that a shell carries out in order."""

from __future__ import annotations

from dataclasses import dataclass

from callboard.messages.errors import TaskError
from callboard.messages.result import TaskResult
from callboard.messages.status import TaskStatus


@dataclass(frozen=True, slots=True)
class Feed:
    """Hand the result of the item at ``index`` to the join."""

    index: int
    result: TaskResult


@dataclass(frozen=True, slots=True)
class CancelRest:
    """Cancel the items that have not ended; what they still answer is ignored."""


@dataclass(frozen=True, slots=True)
class Close:
    """End the group; nothing follows. COMPLETED asks for the join to be finished, any other status carries the ``error``.

    ``culprit`` is the result by which the group failed, where there was one.
    """

    status: TaskStatus
    error: TaskError | None = None
    culprit: TaskResult | None = None


Decision = Feed | CancelRest | Close
