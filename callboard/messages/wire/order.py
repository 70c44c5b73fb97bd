"""What a manager says to its workers: what to do, and what not to do any more."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from callboard.messages.spec import TaskSpec
from callboard.messages.wire.message import Carrier, Ids, Message, Names, Outcomes, Rows


class Assign(Carrier):
    """Tasks for a worker. Payloads: one a task, then outputs of ``inputs``, then shared values in the order of ``values``,
    then code blobs in the order of ``codes``."""

    kind: Literal["assign"] = "assign"
    epoch: str
    acked: int = 0  # the worker's reports up to this number have arrived
    ids: Ids
    names: Names
    spec_of: Rows
    fences: Rows  # number of the assignment: an answer with an older one is dropped
    times: list[int]  # of submission, whole seconds since the epoch
    attempts: dict[int, int] | None = None  # row -> number of the attempt, where it is not the first
    failures: dict[int, int] | None = None  # row -> how many of the earlier ones were the task's own failures
    elapsed: dict[int, float] | None = None  # row -> seconds since the first of them began
    specs: dict[int, TaskSpec] | None = None
    anew: bool | None = None  # specs that were told before are not referred to any more
    inputs: Outcomes | None = None
    needs: dict[int, Rows] | None = None  # row -> rows of inputs
    events: dict[int, dict[str, Any]] | None = None
    rich: dict[int, int] | None = None  # row -> index among the payloads, of the event's data that are no plain values
    values: Ids | None = None
    codes: Names | None = None

    COLUMNS: ClassVar[tuple[str, ...]] = ("ids", "names", "spec_of", "fences", "times")


class Recall(Message):
    """Asks a worker to hand back what it has not begun of these (all that is queued when empty)."""

    kind: Literal["recall"] = "recall"
    ids: Ids = Field(default=[])


class Halt(Message):
    """Asks a worker to stop these attempts; what is not begun is dropped. ``force``: see `Cancel`."""

    kind: Literal["halt"] = "halt"
    ids: Ids
    force: bool = False


class Watch(Message):
    """Whether anybody listens to the start and the progress of tasks, which a worker tells only then."""

    kind: Literal["watch"] = "watch"
    started: bool
    progress: bool


class Dump(Message):
    """Asks a worker where its Python stands."""

    kind: Literal["dump"] = "dump"
    number: int
