"""How a peer and a manager begin their conversation, and how they end it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from callboard.messages.wire.message import Ids, Message, Name, Rows

PROTOCOL = 3

Count = Annotated[int, Field(ge=0)]


class Hello(Message):
    """First word of a peer, and again after every reconnect: what it is, and what it runs and holds.

    ``number`` counts the peer's hellos. ``heard``: the manager is known to have its reports up to this number.
    """

    kind: Literal["hello"] = "hello"
    protocol: int = PROTOCOL
    python: str
    cloudpickle: str
    peer: Literal["worker", "client"]
    name: Name = ""
    role: Name = ""
    skills: dict[str, int] = Field(default={})
    slots: Annotated[int, Field(ge=1, le=65536)] = 1
    pid: int = 0
    host: Name = ""
    token: str | None = None  # names a local child to its supervisor
    epoch: str | None = None  # of the manager it knew before
    ids: Ids = Field(default=[])  # what it runs or has queued
    fences: Rows = Field(default=[])
    leaving: bool = False
    number: Count = 1
    heard: Count = 0

    COLUMNS: ClassVar[tuple[str, ...]] = ("ids", "fences")


class Welcome(Message):
    """The manager takes the peer in. ``events`` is where the events are published; None tells to use the same host.

    ``answers`` is the number of the hello; what was said before this was said to who the peer was before that hello.
    ``settled``: deliveries up to this number are not said again, the next one has the next number.
    """

    kind: Literal["welcome"] = "welcome"
    epoch: str
    answers: int
    settled: int = 0
    manager: Name = ""
    events_endpoint: str | None = None
    events_port: int | None = None
    max_payload: int


class Refusal(Message):
    """The manager will not have the peer, and why; there is no use in trying again."""

    kind: Literal["refusal"] = "refusal"
    reason: str


class Rejoin(Message):
    """The manager does not know the peer (any more): it should say `Hello` again."""

    kind: Literal["rejoin"] = "rejoin"


class Probe(Message):
    """Says nothing; whether it can be sent tells the manager who is there. ``acked`` as in `Assign`."""

    kind: Literal["probe"] = "probe"
    acked: int = 0


class Leaving(Message):
    """The worker takes no new work and ends when what it runs is done."""

    kind: Literal["leaving"] = "leaving"


class Goodbye(Message):
    """The sender ends in order. From the manager it asks a worker to finish what it runs and end."""

    kind: Literal["goodbye"] = "goodbye"
