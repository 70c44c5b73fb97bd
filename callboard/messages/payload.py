"""Values as bytes: plain pickle where it serves, cloudpickle for what only it can carry.

cloudpickle is the one guest on this floor: a value that plain pickle refuses (a lambda, a class of ``__main__``) has
to become bytes before anything above can send it. It is imported at the first such value.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any

from callboard.messages.errors import CannotPickle

Buffer = bytes | bytearray | memoryview
Payload = bytes | list[Buffer]
"""A pickle; or a list of the pickle and the out-of-band buffers (pickle protocol 5) that it refers to."""

OUT_OF_BAND = 32 * 1024
"""Buffers of fewer bytes are copied into the pickle: a frame of their own costs more than the copy."""
LIFT_DEPTH = 2
LIFT_ITEMS = 64
"""How deep, and in how large containers, large bytes are looked for: arguments and outputs, not the whole of any data."""
_CONTAINERS = frozenset((tuple, list, dict))
_NUMBERS = frozenset((int, float, bool, type(None)))


def dumps_small(value: Any) -> bytes:
    """Pickle ``value`` in one piece; the ways of `dumps`, for what is known to be small."""
    try:
        data = pickle.dumps(value, protocol=5)
    except Exception:  # pickle raises whatever a __reduce__ raises; cloudpickle says it again where it matters
        return _carry(value)
    # Classes and functions of __main__ pickle by name without complaint and are not to be found in another process.
    return _carry(value) if b"__main__" in data else data


def dumps(value: Any, what: str) -> Payload:
    """Pickle ``value``, large buffers out of band and uncopied; `CannotPickle` names ``what`` it was."""
    kind = type(value)
    if is_plain(value):
        return pickle.dumps(value, 5)
    if kind is bytes or (kind in _CONTAINERS and value and len(value) <= LIFT_ITEMS and _holds_large(value, LIFT_DEPTH)):
        value = _lifted(value, LIFT_DEPTH, {})
    buffers: list[Buffer] = []

    def keep_in_band(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if view.nbytes < OUT_OF_BAND:
            return True
        buffers.append(view)
        return False

    try:
        try:
            data = pickle.dumps(value, 5, buffer_callback=keep_in_band)
            by_name = b"__main__" in data
        except Exception:  # whatever a user's __reduce__ raises; cloudpickle gets its try
            by_name = True
        if by_name:
            buffers.clear()
            data = _carry(value, keep_in_band)
    except Exception as error:
        raise CannotPickle(f"{what} cannot be pickled: {type(error).__name__}: {error}") from error
    return [data, *buffers] if buffers else data


def is_plain(value: Any) -> bool:
    """Whether it is a number or a short text: of such `pickle.dumps` makes what `dumps` makes, and sooner."""
    kind = type(value)
    return kind in _NUMBERS or (kind is str and len(value) < OUT_OF_BAND)


class _Apart:
    """Stands for bytes that travel out of band: pickle itself copies them, and slowly."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __reduce__(self) -> tuple[Any, ...]:
        return _whole, (pickle.PickleBuffer(self.content),)


def _whole(buffer: Buffer) -> bytes:
    return buffer if type(buffer) is bytes else bytes(buffer)


def _holds_large(container: Any, depth: int) -> bool:
    """Whether `_lifted` would find anything; asked for every task, so that it makes nothing."""
    for item in container.values() if type(container) is dict else container:
        kind = type(item)
        if kind is bytes:
            if len(item) >= OUT_OF_BAND:
                return True
        elif kind in _CONTAINERS and item and depth and len(item) <= LIFT_ITEMS and _holds_large(item, depth - 1):
            return True
    return False


def _lifted(value: Any, depth: int, known: dict[int, Any]) -> Any:
    """``value`` with an `_Apart` in place of large bytes. What is the same object stays the same."""
    kind = type(value)
    if kind is bytes:
        return value if len(value) < OUT_OF_BAND else known.setdefault(id(value), _Apart(value))
    if kind not in _CONTAINERS or not value or len(value) > LIFT_ITEMS or not _holds_large(value, depth):
        return value
    if id(value) not in known:
        lifted = [_lifted(item, depth - 1, known) for item in (value.values() if kind is dict else value)]
        known[id(value)] = dict(zip(value, lifted, strict=True)) if kind is dict else kind(lifted)
    return known[id(value)]


def loads(payload: Payload | Sequence[Buffer]) -> Any:
    """The value of a payload. Only for payloads from a peer that has proved a key."""
    if isinstance(payload, bytes):
        return pickle.loads(payload)
    return pickle.loads(payload[0], buffers=payload[1:])


def size_of(payload: Payload) -> int:
    """How many bytes a payload has, buffers included."""
    if isinstance(payload, bytes):
        return len(payload)
    return sum(memoryview(part).nbytes for part in payload)


def _carry(value: Any, buffer_callback: Callable[[Any], object] | None = None) -> bytes:
    from callboard.messages.carrier import carry

    return carry(value, buffer_callback)
