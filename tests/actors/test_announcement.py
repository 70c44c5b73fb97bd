"""What of an event's data travels as plain values, and what is pickled."""

from __future__ import annotations

import math
from typing import Any

import pytest

from callboard.actors.announcement import LARGEST_WHOLE, MAX_DEPTH, MAX_HEADER, MAX_ITEMS, MAX_TEXT, announcement, split
from callboard.messages.errors import CannotPickle, PayloadTooLarge


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [None, True, 0, LARGEST_WHOLE, -1.5, "schön", "x" * MAX_TEXT, [1, [2]], {"a": {"b": []}}, list(range(MAX_ITEMS)), nested(MAX_DEPTH)],
    ids=lambda value: repr(value)[:20],
)
def test_plain_values_travel_in_the_header(value: Any) -> None:
    assert split({"it": value}) == ({"it": value}, {})


class Text(str):
    """Looks like text, and is more."""


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        {1},
        b"bytes",
        math.nan,
        math.inf,
        LARGEST_WHOLE + 1,
        "x" * (MAX_TEXT + 1),
        "\ud800",
        Text("plain"),
        {1: "a"},
        [{"a": (1,)}],
        list(range(MAX_ITEMS + 1)),
        nested(MAX_DEPTH + 1),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_all_else_is_pickled_beside_what_is_plain(value: Any) -> None:
    assert split({"it": value, "plain": 1}) == ({"plain": 1}, {"it": value})


def test_plain_values_that_are_much_together_travel_as_a_payload() -> None:
    little, much = ({f"k{n}": "x" * 1000 for n in range(count)} for count in (2, 40))
    assert len(announcement("a.b", little, 1.0)) < len(announcement("a.b", much, 1.0))
    assert len(announcement("a.b", much, 1.0)[0]) <= MAX_HEADER


def test_what_cannot_travel_is_told_where_it_is_said() -> None:
    with pytest.raises(CannotPickle, match=r"the data of event 'a\.b'"):
        announcement("a.b", {"it": (number for number in range(3))}, 1.0)
    with pytest.raises(PayloadTooLarge, match=r"the data of event 'a\.b'"):
        announcement("a.b", {"it": b"x" * 5000}, 1.0, limit=4096)
