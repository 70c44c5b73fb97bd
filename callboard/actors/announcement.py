"""An event that a person publishes, as it travels: made where it is said, so that what is wrong with it is told there."""

from __future__ import annotations

import math
from typing import Any

from callboard.messages.codec import Packed, columns, encode, pack
from callboard.messages.limit import MAX_PAYLOAD
from callboard.messages.payload import dumps
from callboard.messages.wire import Say

MAX_TEXT = 4096
MAX_ITEMS = 1000
MAX_DEPTH = 8
MAX_HEADER = 16 * 1024
"""Bytes of plain values in a header; what has more travels as a payload."""
LARGEST_WHOLE = 2**63 - 1


def announcement(topic: str, data: dict[str, Any], when: float, limit: int = MAX_PAYLOAD, task_id: str | None = None) -> list[Any]:
    """The frames of the message; raises `CannotPickle` and `PayloadTooLarge`."""
    plain, rich = split(data)
    frames = _frames(topic, plain, rich, when, limit, task_id)
    return frames if len(frames[0]) <= MAX_HEADER else _frames(topic, {}, data, when, limit, task_id)


def _frames(topic: str, plain: dict[str, Any], rich: dict[str, Any], when: float, limit: int, task_id: str | None) -> list[Any]:
    what = f"the data of event {topic!r}"
    payloads: list[Packed] = [pack(dumps(rich, what), limit, what)] if rich else []
    laid = columns(payloads)
    message = Say(topic=topic, task_id=task_id, time=when, data=plain, rich=bool(rich), sizes=laid.sizes, large=laid.large)
    return encode(message, laid.frames)


def split(data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """An event's data as plain values, which travel in the header and can be matched, and the rest, which is pickled."""
    plain = {key: value for key, value in data.items() if _plain(key, 1) and _plain(value, 1)}
    return plain, {key: value for key, value in data.items() if key not in plain}


def _plain(value: Any, depth: int) -> bool:
    kind = type(value)
    if isinstance(value, str) and kind is str:
        return len(value) <= MAX_TEXT and (value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value))
    if isinstance(value, int) and kind is int:
        return -LARGEST_WHOLE <= value <= LARGEST_WHOLE
    if kind is float:
        return math.isfinite(value)
    if depth > MAX_DEPTH:
        return False
    if kind is list:
        return len(value) <= MAX_ITEMS and all(_plain(item, depth + 1) for item in value)
    if kind is dict:
        return len(value) <= MAX_ITEMS and all(type(key) is str and _plain(key, depth) and _plain(value[key], depth + 1) for key in value)
    return value is None or kind is bool
