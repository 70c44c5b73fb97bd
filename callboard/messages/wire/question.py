"""Questions to the manager, and its answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from callboard.messages.failure import Failure
from callboard.messages.wire.message import Message, Name


class Ask(Message):
    """A question or an order to the manager, by name; rare, so its arguments are a mapping."""

    kind: Literal["ask"] = "ask"
    number: int
    what: Name
    arguments: dict[str, Any] = Field(default={})


class Answer(Message):
    """The answer to a question: plain values, or the failure to give one."""

    kind: Literal["answer"] = "answer"
    number: int
    value: Any = None
    failure: Failure | None = None
