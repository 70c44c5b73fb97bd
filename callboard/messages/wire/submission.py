"""A client's words about tasks, and the manager's about how they ended."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from callboard.messages.spec import TaskSpec
from callboard.messages.wire.message import Carrier, Id, Ids, Message, Name, Names, Outcomes, Rows


class Terms(Message):
    """When a rule starts its task: events of ``pattern`` that fit ``where``."""

    rule_id: Id
    pattern: Name
    where: dict[str, Any] = Field(default={})


class Submit(Carrier):
    """Tasks for the manager. Payloads: one a task, then fallback values, then code blobs in the order of ``codes``."""

    kind: Literal["submit"] = "submit"
    ids: Ids
    names: Names
    spec_of: Rows
    specs: dict[int, TaskSpec] | None = None
    dependencies: dict[int, Ids] | None = None
    keys: dict[int, str] | None = None
    dependencies_sent: Rows | None = None  # rows of which the client has sent all dependencies before
    fallback_values: dict[int, int] | None = None  # row -> index among the payloads
    fallback_tasks: dict[int, int] | None = None  # row -> row of the task that stands in, held until then
    shares: dict[int, Ids] | None = None  # row -> shared values that it uses
    codes: Names | None = None
    again: bool = False  # after a reconnect: what is known already is no duplicate
    ask: int | None = None  # number of a question: is it accepted?
    rule: Terms | None = None  # the one task is not run but kept, to be started by events

    COLUMNS: ClassVar[tuple[str, ...]] = ("ids", "names", "spec_of")


class Put(Carrier):
    """A value, the one payload, that a client's tasks are going to use; ``ask`` is the number of a question: is it there?"""

    kind: Literal["put"] = "put"
    id: Id
    ask: int


class Drop(Message):
    """Shared values that a client has no handle of any more, or that a worker need not keep; and code (digests) likewise."""

    kind: Literal["drop"] = "drop"
    ids: Ids
    codes: Names | None = None


class Cancel(Message):
    """A client wants these cancelled; ``force`` ends the process of a plain function that will not stop."""

    kind: Literal["cancel"] = "cancel"
    ids: Ids
    force: bool = False


class Deliver(Carrier):
    """Results for a client, which acknowledges them by ``number``, as far as none is missing before."""

    kind: Literal["deliver"] = "deliver"
    number: int
    outcomes: Outcomes


class Ack(Message):
    """All up to this number have arrived."""

    kind: Literal["ack"] = "ack"
    number: int
