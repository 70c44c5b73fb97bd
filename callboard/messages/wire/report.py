"""A worker's words: how its attempts ended, and what it does not do after all."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from callboard.messages.failure import Failure
from callboard.messages.wire.message import Carrier, Id, Ids, Message, Rows

MAX_DUMP = 256 * 1024
"""Characters of one worker's stacks."""


class Report(Carrier):
    """How attempts ended. ``number`` counts the worker's reports, which it keeps until they are acknowledged, and which
    the manager takes in this order only.

    ``endings`` are values of `Ending`. ``again`` is the retry policy's decision, taken where the exception was:
    seconds until the next attempt.
    """

    kind: Literal["report"] = "report"
    epoch: str
    number: int
    ids: Ids
    fences: Rows
    endings: Rows
    micros: Rows
    errors: dict[int, str] | None = None
    failures: dict[int, Failure] | None = None
    again: dict[int, float] | None = None

    COLUMNS: ClassVar[tuple[str, ...]] = ("ids", "fences", "endings", "micros")


class Ending:
    """How one attempt ended, as small integers for a column."""

    COMPLETED = 0
    FAILED = 1
    CANCELLED = 2
    TIMED_OUT = 3


class HandBack(Message):
    """The worker has not begun these and will not."""

    kind: Literal["hand_back"] = "hand_back"
    epoch: str
    ids: Ids
    fences: Rows

    COLUMNS: ClassVar[tuple[str, ...]] = ("ids", "fences")


class Park(Message):
    """The task waits for other tasks and lends its slot (``parked``), or goes on."""

    kind: Literal["park"] = "park"
    task_id: Id
    fence: int
    parked: bool


class Dumped(Message):
    """What the worker runs, and the stacks of its threads, as text."""

    kind: Literal["dumped"] = "dumped"
    number: int
    text: Annotated[str, Field(max_length=MAX_DUMP)]
