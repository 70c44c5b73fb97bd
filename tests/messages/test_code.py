"""What is captured once, and what is captured as it is now."""

from __future__ import annotations

import functools
import operator
from typing import Any

import pytest

from callboard.messages.code import capture, restore
from callboard.messages.errors import CannotPickle


class Scale:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, number: int) -> int:
        return self.factor * number

    def times(self, number: int) -> int:
        return self.factor * number


@pytest.mark.parametrize("of", [lambda scale: scale, lambda scale: scale.times], ids=["an object", "its method"])
def test_an_object_is_captured_as_it_is_now(of: Any) -> None:
    scale = Scale(2)
    held = of(scale)
    first = capture(held, "a scale")
    scale.factor = 5
    second = capture(held, "a scale")
    assert first.digest != second.digest
    assert [restore(*code)(3) for code in (first, second)] == [6, 15]


def test_a_function_is_captured_once() -> None:
    seen = [1]

    def count() -> int:
        return len(seen)

    first = capture(count, "a function")
    seen.append(2)
    assert capture(count, "a function") is first
    assert restore(*first)() == 1


def test_equal_objects_are_not_mistaken_for_each_other() -> None:
    halves = [functools.partial(operator.mul, number) for number in (2, 3)]
    assert [restore(*capture(half, "a partial"))(10) for half in halves] == [20, 30]


def test_what_cannot_be_carried_is_named() -> None:
    with pytest.raises(CannotPickle, match="the odd thing cannot be carried to a worker: TypeError"):
        capture(lambda: generator, "the odd thing")


generator = (number for number in range(3))
