"""What the workers of every peer are asked to do."""

from __future__ import annotations

import time
from typing import Any


def noop(*_: Any) -> None:
    """Nothing, so that what is measured is all that lies around a task."""


def square(number: int) -> int:
    """Something for a sum to be made of."""
    return number * number


def following(number: int) -> int:
    """A link of a chain."""
    return number + 1


def echo(value: Any) -> Any:
    """The value, there and back."""
    return value


def length(value: Any, *_: Any) -> int:
    """Uses the value without sending it back."""
    return len(value)


def rest(seconds: float) -> None:
    """A task of a known length."""
    time.sleep(seconds)
