"""What code that runs as a task can say to whoever runs it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Protocol


class Work(Protocol):
    """The running attempt, as its own code sees it. Whoever runs a task sets one in `current` around the call."""

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        ...

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked this attempt to stop."""
        ...

    def progress(self, fraction: float, text: str = "") -> None:
        """Tell how far the work is, from 0 to 1."""
        ...

    def emit(self, topic: str, **data: Any) -> None:
        """Publish an event of the user's own."""
        ...


current: ContextVar[Work | None] = ContextVar("callboard_work", default=None)
"""The attempt that the running code belongs to; None outside of one."""
