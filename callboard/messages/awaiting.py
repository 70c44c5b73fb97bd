"""Whether a value is to be awaited, asked of every result of a user's code."""

from __future__ import annotations

import inspect
import types
from typing import Any

_VALUES = frozenset((type(None), bool, int, float, str, bytes, tuple, list, dict, set))


def is_awaitable(value: Any) -> bool:
    """What ``inspect.isawaitable`` says of what can really be awaited, and sooner for plain values."""
    kind = type(value)
    if kind in _VALUES:  # to look for a method that a class does not have takes several times as long
        return False
    return hasattr(kind, "__await__") or (kind is types.GeneratorType and inspect.isawaitable(value))
