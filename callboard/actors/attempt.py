"""One execution of a task on a worker."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from callboard.actors.uplink import Settled
from callboard.messages.codec import Packed
from callboard.messages.spec import TaskSpec


class Attempt:
    """What a worker was given to do once. Made by the host's actor, carried out by a slot's thread."""

    __slots__ = (
        "abandoned",
        "earlier_failures",
        "event",
        "fence",
        "first_began",
        "future",
        "halted",
        "inputs",
        "name",
        "number",
        "parked",
        "payload",
        "rich",
        "seat",
        "spec",
        "started",
        "submitted",
        "task_id",
    )

    def __init__(self, task_id: str, name: str, fence: int, spec: TaskSpec, payload: Packed, submitted: int) -> None:
        self.task_id = task_id
        self.name = name
        self.fence = fence
        self.spec = spec
        self.payload: Packed | None = payload
        self.submitted = submitted  # whole seconds since the epoch
        self.number = 1
        self.seat = 0  # under which it is noted while it runs
        self.earlier_failures = 0
        self.first_began: float | None = None  # monotonic; of the first attempt, where this is a later one
        self.inputs: list[Settled] = []
        self.event: dict[str, Any] | None = None
        self.rich: Packed | None = None  # of the event
        self.started: float | None = None  # monotonic
        self.halted = False  # somebody wants it stopped
        self.abandoned = False  # its ending was told already, whatever still becomes of it
        self.parked = 0  # how many waits for other tasks it is in
        self.future: asyncio.Future[Any] | Any | None = None  # of an async one, by which it can be cancelled


class Leave:
    """Posted to the host: finish what runs and end; a second time: hand that back, too, and end now."""


class Said(NamedTuple):
    """An event that was published by the code of a task, on its way to the host's actor."""

    frames: list[Any]


class Finished:
    """How an attempt ended, on its way from the slot to the host's actor."""

    __slots__ = ("again", "attempt", "ending", "error", "failure", "micros", "output")

    def __init__(
        self,
        attempt: Attempt,
        ending: int,
        micros: int,
        output: Packed = b"",
        error: str | None = None,
        failure: Any = None,
        again: float | None = None,
    ) -> None:
        self.attempt = attempt
        self.ending = ending
        self.micros = micros
        self.output = output
        self.error = error
        self.failure = failure
        self.again = again
