"""One piece of an executor's work: a method of an atom with its arguments, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from callboard.flows.interpretation import interpret
from callboard.flows.task import Task
from callboard.messages.failure import Failure
from callboard.messages.outcome import Outcome


class Ending(NamedTuple):
    """What came of a job: an outcome, or what was raised. ``failure`` is given where it is known from elsewhere.

    ``begun`` is false where the atom's code was never called, so that there is nothing to undo.
    """

    outcome: Outcome | None
    error: BaseException | None = None
    failure: Failure | None = None
    begun: bool = True


class Job:
    """An atom's ``execute`` or ``revert``, to be called once. ``began`` is seconds on the monotonic clock.

    ``guard`` is the circuit breaker that it passed, ``key`` the idempotency key under which its outcome is remembered.
    """

    __slots__ = ("arguments", "attempt", "began", "cancelled", "guard", "key", "name", "node", "stands_in", "task", "undo")

    def __init__(self, node: int, name: str, task: Task, arguments: Mapping[str, Any], attempt: int, undo: bool) -> None:
        self.node = node
        self.name = name
        self.task = task
        self.arguments = arguments
        self.attempt = attempt
        self.undo = undo
        self.stands_in = False
        self.cancelled = False
        self.guard: AbstractContextManager[None] | None = None
        self.key: str | None = None
        self.began = time.monotonic()

    def call(self) -> Outcome | Awaitable[Outcome]:
        """Call the user's code; what it raises passes through."""
        if not self.undo:
            return self.task.perform(self.arguments)
        value = self.task.undo(self.arguments)
        return _undone(value) if isinstance(value, Awaitable) else interpret(value)


async def _undone(value: Awaitable[Any]) -> Outcome:
    return interpret(await value)
