"""Checks of the numbers that a policy is declared with."""

from __future__ import annotations

import math

from callboard.messages.errors import InvalidSetting


def whole_number(owner: str, name: str, value: object, least: int) -> None:
    """Raise `InvalidSetting` unless ``value`` is an int (no bool) of at least ``least``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidSetting(f"{owner}: {name} must be a whole number from {least}, not {value!r}")


def number(owner: str, name: str, value: object, least: float) -> None:
    """Raise `InvalidSetting` unless ``value`` is a finite number of at least ``least``."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or value < least:
        raise InvalidSetting(f"{owner}: {name} must be a finite number from {least:g}, not {value!r}")
