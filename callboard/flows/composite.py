"""A task that is made of tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, Self

from callboard.flows.declaration import Names
from callboard.flows.graph import GraphFlow
from callboard.flows.retry import Times
from callboard.flows.task import Task
from callboard.messages.errors import InvalidTask


class CompositeTask(Task):
    """Tasks that run as one, each as soon as what it needs is there. An executor runs it.

    A ``retry_policy`` tries the whole again, after its parts were reverted; other limits and needs are for the parts to
    declare. In a flow, or inside of another composite task, ``requires`` and ``provides`` given there as mappings rename
    what it takes in and hands out.
    """

    def __init__(self, name: str | None = None, **declared: Any) -> None:
        super().__init__(name, **declared)
        for field in ("processor", "skills", "timeout", "expires_in", "breaker", "fallback", "idempotency_key", "inject"):
            if getattr(self, field) is not None:
                raise InvalidTask(f"{self._label()} is made of tasks, and {field} is for them to declare")
        retry = None
        if self.retry_policy is not None:
            retry = Times(self.retry_policy.numbers().max_attempts, policy=self.retry_policy)
        self.flow = GraphFlow(self.name, retry)

    def add_task(
        self, task: Task, requires: Names | None = None, provides: Names | None = None, when: Callable[..., Any] | None = None
    ) -> Self:
        """Add a part. ``requires`` is ``{argument: stored name}``, ``provides`` ``{key of the result: stored name}``.

        ``when`` is a function that finds its arguments by name as a task does; at its no the part is ignored, and so are
        those that need what the part would have provided.
        """
        if when is not None and not callable(when):
            raise InvalidTask(f"when of {task!r} in {self._label()} must be a function, not {when!r}")
        self.flow._place(task, requires, provides, None, when)
        return self

    def execute(self, *args: Any, **inputs: Any) -> NoReturn:
        """Not called: an executor runs the parts."""
        raise InvalidTask(f"{self._label()} is made of tasks: hand it to an executor, such as SyncExecutor().execute(...)")

    def submission(self) -> NoReturn:
        """Not for workers: an executor runs the parts."""
        self.execute()
