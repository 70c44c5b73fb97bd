"""From messages to frames and back.

Frame 0 is the header (JSON of a wire model), then come the small payloads joined, then the large ones, all in slices:
one big frame over a slow link outlives the heartbeat and cuts the connection, many slices do not.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from itertools import accumulate
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from callboard.messages.errors import PayloadTooLarge, WireError
from callboard.messages.limit import LARGEST_PAYLOAD, MAX_FRAME, MAX_FRAMES, MAX_PAYLOAD, MAX_PIECES, PORTION, SLICE
from callboard.messages.payload import OUT_OF_BAND, Buffer, Payload, loads
from callboard.messages.wire import ADAPTER, AnyMessage, Assign, Carrier, Deliver, Message, at

T = TypeVar("T")
_VALIDATOR = ADAPTER.validator


class Large(NamedTuple):
    """A payload in frames of its own. ``lengths`` are those of its buffers, negative where a buffer is read-only (so that
    it can be put together as bytes); ``frames`` are their slices in order: of each buffer, or of all of them joined
    where there would be too many."""

    lengths: tuple[int, ...]
    frames: tuple[Any, ...]

    @property
    def size(self) -> int:
        """Bytes of all buffers together."""
        return sum(map(abs, self.lengths))


Packed = bytes | Large
"""A payload as it travels: never looked into on the way."""


def pack(payload: Payload | Large, limit: int = MAX_PAYLOAD, what: str = "a value") -> Packed:
    """Make a payload ready to travel; `PayloadTooLarge` names ``what`` when it has more than ``limit`` bytes."""
    if (type(payload) is bytes and len(payload) < OUT_OF_BAND and len(payload) <= limit) or isinstance(payload, Large):
        return payload
    buffers = [payload] if isinstance(payload, bytes) else payload
    views = [memoryview(buffer).cast("B") for buffer in buffers]
    lengths = tuple(-view.nbytes if view.readonly else view.nbytes for view in views)
    size = sum(map(abs, lengths))
    if size > limit:
        raise PayloadTooLarge(f"{what} has {size:,} bytes; max_payload is {limit:,} bytes")
    if _apart(lengths):
        return Large(lengths, tuple(piece for view in views for piece in _slices(view)))
    return Large(lengths, tuple(_slices(memoryview(b"".join(views)))))


def load(packed: Packed) -> Any:
    """The value of a packed payload. Only for payloads from a peer that has proved a key."""
    return pickle.loads(packed) if type(packed) is bytes else loads(_unpacked(packed))  # type: ignore[arg-type]


def _unpacked(packed: Large) -> Payload:
    """The payload as `messages.payload.loads` takes it; slices of one buffer are put together."""
    frames = iter(packed.frames)
    if _apart(packed.lengths):
        return [_joined(length, frames) for length in packed.lengths]
    whole = memoryview(_joined(packed.size, frames))
    ends = list(accumulate(map(abs, packed.lengths)))
    return [whole[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def size_of(packed: Packed) -> int:
    """Bytes of a packed payload."""
    return len(packed) if type(packed) is bytes else packed.size  # type: ignore[union-attr]


def weight(packed: Packed | None) -> int:
    """What a payload adds to a message, in characters of header: its frames; its bytes are in slices and weigh nothing."""
    return 1024 * len(packed.frames) if type(packed) is Large else 0


def portions(rows: Sequence[T], weigh: Callable[[T], int]) -> Iterator[Sequence[T]]:
    """Divide rows among messages, by what each of them weighs."""
    if len(rows) == 1:
        yield rows
        return
    start = total = 0
    for index, row in enumerate(rows):
        weighs = 100 + weigh(row)
        if total + weighs > PORTION and index > start:
            yield rows[start:index]
            start, total = index, 0
        total += weighs
    if start < len(rows):
        yield rows[start:]


class Columns(NamedTuple):
    """How payloads are told of in a header, and their frames."""

    sizes: list[int]
    large: dict[int, list[int]] | None
    frames: list[Any]


def columns(payloads: Sequence[Packed]) -> Columns:
    """Lay out payloads for one message."""
    sizes = [len(payload) if type(payload) is bytes else -1 for payload in payloads]
    if -1 not in sizes:
        return Columns(sizes, None, _row(b"".join(payloads)) if payloads else [])  # type: ignore[arg-type]
    large: dict[int, list[int]] = {}
    frames = _row(b"".join(payload for payload in payloads if type(payload) is bytes))
    for index, payload in enumerate(payloads):
        if isinstance(payload, Large):
            large[index] = list(payload.lengths)
            frames += payload.frames
    return Columns(sizes, large, frames)


def _row(joined: bytes) -> list[Any]:
    return [joined] if len(joined) <= SLICE else list(_slices(memoryview(joined)))


def encode(message: AnyMessage, frames: Iterable[Any] = ()) -> list[Any]:
    """The frames of a message: its header and the payload frames that `columns` made.

    A field that is None is left out, so that None must be the default of whatever may be None.
    """
    return [message.__pydantic_serializer__.to_json(message, exclude_none=True), *frames]


def fits(frames: Sequence[Any]) -> bool:
    """Whether a message may be sent: the other side cuts off who sends more."""
    return len(frames) <= MAX_FRAMES and len(frames[0]) <= MAX_FRAME


def decode(frames: Sequence[Any]) -> tuple[AnyMessage, list[Packed]]:
    """The message of received frames (bytes, or objects with ``.bytes`` and ``.buffer``) and its payloads.

    Raises `WireError` for anything that is not exactly a message of this protocol.
    """
    if not 1 <= len(frames) <= MAX_FRAMES:
        raise WireError(f"a message of {len(frames)} frames")
    try:
        message: AnyMessage = _VALIDATOR.validate_json(_bytes(frames[0]))
    except (ValidationError, RecursionError) as error:
        raise WireError(f"not a message: {str(error)[:500]}") from None
    _check_columns(message)
    if not isinstance(message, Carrier) or not message.sizes:
        if len(frames) > 1:
            raise WireError(f"{message.kind} came with {len(frames) - 1} frames too many")
        return message, []
    return message, _cut(message, frames)


def _check_columns(message: Message) -> None:
    if message.COLUMNS and len(set(map(len, _columns_of(type(message))(message)))) > 1:
        raise WireError(f"the columns of {type(message).__name__} differ in length")
    outcomes = message.inputs if type(message) is Assign else message.outcomes if type(message) is Deliver else None
    if outcomes is not None:
        _check_columns(outcomes)


@functools.cache
def _columns_of(kind: type[Message]) -> Callable[[Message], tuple[Sized, ...]]:
    return attrgetter(*kind.COLUMNS)


def _cut(message: Carrier, frames: Sequence[Any]) -> list[Packed]:
    sizes = message.sizes or ()
    small = sum(sizes) if message.large is None else sum(size for size in sizes if size > 0)
    following = 1 + max(1, -(-small // SLICE))
    if len(frames) < following:
        raise WireError("payloads are missing")
    joined = _bytes(frames[1]) if following == 2 else b"".join(_bytes(frame) for frame in frames[1:following])
    payloads: list[Packed] = []
    position = 0
    for index, size in enumerate(sizes):
        if size >= 0:
            payloads.append(joined[position : position + size])
            position += size
        else:
            lengths = tuple(at(message.large, index) or ())
            wanted = _wanted(lengths)
            pieces = tuple(frames[following : following + len(wanted)])
            if [len(_view(piece)) for piece in pieces] != wanted:
                raise WireError("a large payload's slices do not have its lengths")
            payloads.append(Large(lengths, pieces))
            following += len(pieces)
    if position != len(joined) or following != len(frames):
        raise WireError("payloads and their sizes do not agree")
    return payloads


def _wanted(lengths: tuple[int, ...]) -> list[int]:
    """The sizes of a large payload's frames."""
    size = sum(map(abs, lengths))
    if not lengths or size > LARGEST_PAYLOAD:
        raise WireError("a large payload's lengths cannot be")
    runs = map(abs, lengths) if _apart(lengths) else (size,)
    return [min(SLICE, length - start) for length in runs for start in range(0, max(length, 1), SLICE)]


def _apart(lengths: Sequence[int]) -> bool:
    """Whether each buffer has frames of its own."""
    return sum(map(_slice_count, lengths)) <= MAX_PIECES


def _slice_count(length: int) -> int:
    return max(1, -(-abs(length) // SLICE))


def _slices(view: memoryview) -> list[memoryview]:
    return [view[start : start + SLICE] for start in range(0, max(view.nbytes, 1), SLICE)]


def _joined(length: int, frames: Any) -> Buffer:
    count = _slice_count(length)
    if count == 1:
        return _view(next(frames))
    views = [_view(next(frames)) for _ in range(count)]
    return b"".join(views) if length < 0 else bytearray().join(views)


def _bytes(frame: Any) -> bytes:
    return frame if isinstance(frame, bytes) else frame.bytes


def _view(frame: Any) -> memoryview:
    return memoryview(frame.buffer if hasattr(frame, "buffer") else frame).cast("B")
