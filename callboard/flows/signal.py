"""Waiting for a word from outside, such as a person's approval."""

from __future__ import annotations

from typing import Any, NoReturn

from callboard.flows.declaration import checked
from callboard.flows.task import Task
from callboard.messages.errors import InvalidTask


class WaitForSignal(Task):
    """Holds its branch of a flow, over restarts as well, until somebody says ``signal`` to the run; its value is the result.

    ``timeout`` (seconds from when the waiting began, a restart does not begin it anew) ends it by `SignalTimedOut`.
    """

    def __init__(self, signal: str, name: str | None = None, **declared: Any) -> None:
        self.signal = checked("name", signal, "a signal")
        super().__init__(name or f"wait for {signal}", **declared)
        for field in ("processor", "input_data", "skills", "expires_in", "retry_policy", "breaker", "fallback", "idempotency_key"):
            if getattr(self, field) is not None:
                raise InvalidTask(f"{self._label()} runs nothing, so that {field} means nothing for it; its timeout fails it like any task")

    def execute(self, *args: Any, **inputs: Any) -> NoReturn:
        """Not called: the executor waits, and blocks no worker meanwhile."""
        raise InvalidTask(f"{self._label()} waits in a flow; hand it to an executor, such as SyncExecutor().execute(...)")

    def submission(self) -> NoReturn:
        """Not for workers: the executor waits."""
        self.execute()
