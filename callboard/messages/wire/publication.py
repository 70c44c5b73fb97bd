"""Events, from who says them to who subscribed."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from callboard.messages.wire.message import Carrier, Id, Message, Name, Rows


class Say(Carrier):
    """Something a peer publishes: progress, the start of a task, or a person's own event.

    ``data`` are plain values; with ``rich``, the one payload is a pickled mapping of the others.
    """

    kind: Literal["say"] = "say"
    topic: Name
    task_id: Id | None = None
    time: float
    data: dict[str, Any] = Field(default={})
    rich: bool = False


class Published(Carrier):
    """Events of one topic, as columns; sequences run from ``first``. Payload i is the pickled rich data of row ``rich[i]``."""

    kind: Literal["published"] = "published"
    epoch: str
    topic: Name
    first: int
    times: list[float]
    ids: list[str | None]
    names: list[str | None]
    workers: list[str | None]
    data: list[dict[str, Any]]
    rich: Rows | None = None

    COLUMNS: ClassVar[tuple[str, ...]] = ("times", "ids", "names", "workers", "data")


class Beacon(Message):
    """Where each topic's sequence stands, so that quiet subscribers notice a gap; answers a subscription's ``nonce``."""

    kind: Literal["beacon"] = "beacon"
    epoch: str
    sequences: dict[str, int]
