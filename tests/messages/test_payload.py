"""Values as payloads: what is large travels beside the pickle, uncopied, and comes back as what it was."""

from __future__ import annotations

import os
import pickle
import threading
from typing import Any

import pytest

from callboard.messages.codec import Large, load, pack
from callboard.messages.errors import CannotPickle, PayloadTooLarge
from callboard.messages.limit import SLICE
from callboard.messages.payload import LIFT_ITEMS, OUT_OF_BAND, dumps, size_of

LARGE = os.urandom(OUT_OF_BAND)


class Array:
    """Gives its buffer to pickle as arrays do; one that was writable is so again."""

    def __init__(self, content: Any) -> None:
        self.content = memoryview(content)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return Array, (pickle.PickleBuffer(self.content),)


def travelled(value: Any) -> Any:
    """As it comes out at the other end."""
    packed = pack(dumps(value, "a value"))
    if isinstance(packed, Large):
        packed = Large(packed.lengths, tuple(bytes(frame) for frame in packed.frames))
    return load(packed)


@pytest.mark.parametrize(
    "value",
    [
        LARGE,
        b"",
        LARGE[:-1],
        (LARGE, 1, None, "x"),
        [LARGE, [LARGE, b"small"]],
        {"a": LARGE, "b": {"c": LARGE}},
        ((LARGE,), {"k": LARGE}, {}),
        ([[[LARGE]]],),
        [LARGE] * (LIFT_ITEMS + 1),
        os.urandom(2 * SLICE + 1),
        bytearray(3 * SLICE),
    ],
    ids=range(11),
)
def test_values_come_back_as_they_were(value: Any) -> None:
    back = travelled(value)
    assert back == value and type(back) is type(value)


@pytest.mark.parametrize("value", [LARGE, (LARGE,), {"a": LARGE}, ((LARGE,), {}, {}), ((), {"k": LARGE}, {})], ids=range(5))
def test_large_bytes_are_neither_copied_nor_pickled(value: Any) -> None:
    payload = dumps(value, "a value")
    assert isinstance(payload, list)
    head, buffer = payload
    assert len(head) < 300
    assert isinstance(buffer, memoryview) and buffer.obj is LARGE


def test_what_is_the_same_object_is_so_again() -> None:
    page = [LARGE]
    payload = dumps((page, page, LARGE), "a value")
    assert size_of(payload) < 2 * len(LARGE)
    first, second, content = travelled((page, page, LARGE))
    assert first is second and first[0] is content


def test_the_value_itself_is_left_alone() -> None:
    value = {"a": [LARGE]}
    dumps(value, "a value")
    assert value["a"][0] is LARGE


@pytest.mark.parametrize("size", [OUT_OF_BAND, SLICE + 1])
def test_buffers_that_could_be_written_to_can_be_again(size: int) -> None:
    back = travelled(Array(bytearray(size)))
    assert back.content.nbytes == size
    if size > SLICE:
        assert not back.content.readonly
    assert travelled(Array(bytes(size))).content.readonly


def test_a_value_of_many_large_buffers() -> None:
    value = [os.urandom(OUT_OF_BAND + row) for row in range(60)]
    assert travelled(value) == value
    arrays = [Array(bytearray(OUT_OF_BAND + row)) for row in range(3000)]
    assert [back.content.nbytes for back in travelled(arrays)] == [OUT_OF_BAND + row for row in range(3000)]


def test_the_limit_counts_what_travels_beside_the_pickle() -> None:
    payload = dumps(LARGE, "a value")
    with pytest.raises(PayloadTooLarge, match=r"the input of task 't' has 32,\d+ bytes; max_payload is 32,000 bytes"):
        pack(payload, 32_000, "the input of task 't'")
    assert isinstance(pack(payload, 33_000), Large)


def test_what_cannot_be_pickled_is_named() -> None:
    with pytest.raises(CannotPickle, match="an argument of 'f' cannot be pickled"):
        dumps((LARGE, threading.Lock()), "an argument of 'f'")
