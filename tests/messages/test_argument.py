"""Objects among arguments, and one step into what the arguments hold."""

from __future__ import annotations

from typing import Any

import pytest

from callboard.messages.argument import all_swapped, found, holds, swapped


class Mark:
    def __init__(self, number: int) -> None:
        self.number = number


class Special(Mark):
    pass


ONE, TWO = Mark(1), Special(2)


@pytest.mark.parametrize("value", [[1, ONE], (TWO,), {"a": ONE}])
def test_what_holds_one(value: Any) -> None:
    assert holds(value, Mark)


@pytest.mark.parametrize("value", [[], [1, 2], {"a": "b"}, {ONE: 1}, [[ONE]], {ONE}, "text", 3, None, ONE])
def test_what_holds_none_that_counts(value: Any) -> None:
    assert not holds(value, Mark)
    assert value is ONE or swapped(value, Mark, lambda mark: mark.number) is value


def test_they_are_found_in_order() -> None:
    assert found([TWO, 5, [ONE, 6, TWO], {"a": ONE}, "text"], Mark) == [TWO, ONE, TWO, ONE]


def test_all_are_swapped_and_what_was_given_is_not_changed() -> None:
    given = [ONE, 6]
    args, kwargs = all_swapped((TWO, given, "text"), {"pair": (ONE, 7), "named": {"a": TWO, "b": 8}}, Mark, lambda mark: -mark.number)
    assert args == (-2, [-1, 6], "text")
    assert kwargs == {"pair": (-1, 7), "named": {"a": -2, "b": 8}}
    assert given == [ONE, 6]
