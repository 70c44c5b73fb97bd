"""Objects among arguments, and one step into what the arguments hold."""

from __future__ import annotations

from typing import Any

import pytest

from callboard.messages.argument import places, replaced


class Mark:
    def __init__(self, number: int) -> None:
        self.number = number


class Special(Mark):
    pass


ONE, TWO = Mark(1), Special(2)


@pytest.mark.parametrize("value", [[1, ONE], (TWO,), {"a": ONE}])
def test_what_holds_one(value: Any) -> None:
    assert len(places((value,), {}, Mark)) == 1


@pytest.mark.parametrize("value", [[], [1, 2], {"a": "b"}, {ONE: 1}, [[ONE]], {ONE}, "text", 3, None])
def test_what_holds_none_that_counts(value: Any) -> None:
    assert places((value,), {}, Mark) == []


def test_they_are_found_in_order_and_told_apart_by_their_places() -> None:
    args, kwargs = (TWO, [ONE, 6, TWO], "text"), {"pair": (7, ONE), "named": {None: TWO, "b": 8}}
    assert places(args, kwargs, Mark) == [((0,), TWO), ((1, 0), ONE), ((1, 2), TWO), (("pair", 1), ONE), (("named", None), TWO)]


def test_others_are_put_in_their_places_and_what_was_given_is_not_changed() -> None:
    given, named = [ONE, 6, TWO], {"a": TWO, "b": 8}
    args, kwargs = (TWO, given, "text"), {"pair": (ONE, 7), "named": named}
    instead = [(place, -mark.number) for place, mark in places(args, kwargs, Mark)]
    assert replaced(args, kwargs, instead) == ((-2, [-1, 6, -2], "text"), {"pair": (-1, 7), "named": {"a": -2, "b": 8}})
    assert given == [ONE, 6, TWO]
    assert named == {"a": TWO, "b": 8}
    assert args[0] is TWO
