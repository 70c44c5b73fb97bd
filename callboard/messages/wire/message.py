"""What all messages have in common: frozen, strict in what they take, bounded in length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from callboard.messages.failure import Failure

V = TypeVar("V")

MAX_ROWS = 100_000
MAX_ID = 256
MAX_NAME = 1024

Id = Annotated[str, Field(min_length=1, max_length=MAX_ID)]
Name = Annotated[str, Field(max_length=MAX_NAME)]
Rows = Annotated[list[int], Field(max_length=MAX_ROWS)]
Ids = Annotated[list[Id], Field(max_length=MAX_ROWS)]
Names = Annotated[list[Name], Field(max_length=MAX_ROWS)]


class Message(BaseModel):
    """Base of every message. ``COLUMNS`` are fields that must be of one length, which `messages.codec.decode` checks:
    a validator written in Python would cost every sender as well."""

    COLUMNS: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64", allow_inf_nan=False)


def at(sparse: Mapping[int, V] | None, row: int) -> V | None:
    """What a sparse column says of a row, None when nothing."""
    return None if sparse is None else sparse.get(row)


class Carrier(Message):
    """A message with payloads. ``sizes``: bytes of each, those in the joined frame; -1 for one with frames of its own,
    whose buffers' lengths stand in ``large`` (see `messages.codec.Large`)."""

    sizes: Rows | None = None
    large: dict[int, list[int]] | None = None


class Outcomes(Message):
    """How tasks ended, as columns. ``payloads`` is the index of the output among the carrier's payloads, or -1."""

    ids: Ids
    names: Names
    statuses: list[str]
    workers: list[str | None]
    attempts: Rows
    micros: Rows
    payloads: Rows
    errors: dict[int, str] | None = None
    failures: dict[int, Failure] | None = None

    COLUMNS: ClassVar[tuple[str, ...]] = ("ids", "names", "statuses", "workers", "attempts", "micros", "payloads")
