"""What a person may declare of a task, checked at once and brought into one form."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any

from callboard.messages.errors import InvalidTask
from callboard.resilience import CircuitBreaker

Names = str | Iterable[str] | Mapping[str, str]
"""One name, several, or a mapping of names."""

Skills = Set[str] | Mapping[str, int] | Iterable[str]
"""Tags (level 1 each) or ``{tag: level}``."""


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidTask(f"{field} must be a text that is not empty, not {value!r}")
    return value


def _inputs(value: Any, field: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        kind = type(value).__name__
        raise InvalidTask(f"{field} must be a dict of names and values, not {kind}; wrap a single value as {{'data': value}}")
    return value if isinstance(value, dict) else dict(value)


def names(value: Any, field: str) -> Any:
    """A text, a tuple, a frozenset or a dict of texts, as ``value`` was one of those kinds."""
    if isinstance(value, str):
        return _text(value, field)
    if isinstance(value, Mapping):
        checked: Any = dict(value)
        given = [*checked.keys(), *checked.values()]
    elif isinstance(value, (set, frozenset)):
        checked = frozenset(value)
        given = list(checked)
    elif isinstance(value, Iterable):
        checked = tuple(value)
        given = list(checked)
    else:
        raise InvalidTask(f"{field} must be a name, several names or a mapping of names, not {type(value).__name__}")
    for name in given:
        _text(name, f"each name in {field}")
    return checked


def _seconds(value: Any, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0 or math.isinf(value):
        raise InvalidTask(f"{field} must be a number of seconds above zero, not {value!r}; leave it out for no limit")
    return value


def skills(value: Any, field: str) -> Mapping[str, int]:
    """``{tag: level}``; a set or sequence of tags gives each the level 1."""
    if isinstance(value, str):
        raise InvalidTask(f"{field} must be a set of tags or a dict of levels, not the text {value!r}; write {{{value!r}}}")
    if isinstance(value, Mapping):
        levels = dict(value)
    elif isinstance(value, Iterable):
        levels = dict.fromkeys(value, 1)
    else:
        raise InvalidTask(f"{field} must be a set of tags or a dict of levels, not {type(value).__name__}")
    for tag, level in levels.items():
        _text(tag, f"each tag in {field}")
        if isinstance(level, bool) or not isinstance(level, int) or level < 0:
            raise InvalidTask(f"the level of {tag!r} in {field} must be a whole number, not {level!r}")
    return levels


def _whole(value: Any, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidTask(f"{field} must be a whole number, not {value!r}")
    return value


def _flag(value: Any, field: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidTask(f"{field} must be True or False, not {value!r}")
    return value


def _version(value: Any, field: str) -> tuple[int, int]:
    parts = tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(parts) != 2 or not all(isinstance(part, int) and part >= 0 for part in parts):
        raise InvalidTask(f"{field} must be a pair of whole numbers such as (1, 0), not {value!r}")
    return parts


def _policy(value: Any, field: str) -> Any:
    if not callable(getattr(value, "decide", None)):
        raise InvalidTask(f"{field} must be a RetryPolicy or have a decide() of its own, not {value!r}")
    return value


def _breaker(value: Any, field: str) -> Any:
    if isinstance(value, str):
        return _text(value, field)
    if not isinstance(value, CircuitBreaker):
        raise InvalidTask(f"{field} must be a CircuitBreaker or the name of one, not {value!r}")
    return value


def _anything(value: Any, field: str) -> Any:
    return value


CHECKS: Mapping[str, Callable[[Any, str], Any]] = {
    "name": _text,
    "processor": _text,
    "input_data": _inputs,
    "requires": names,
    "provides": names,
    "rebind": names,
    "inject": _inputs,
    "skills": skills,
    "priority": _whole,
    "timeout": _seconds,
    "expires_in": _seconds,
    "retry_policy": _policy,
    "breaker": _breaker,
    "fallback": _anything,
    "idempotency_key": _text,
    "idempotent": _flag,
    "version": _version,
    "metadata": _inputs,
}
"""For each field of a task that a class may set as well, what checks a value and brings it into its form."""


def checked(field: str, value: Any, owner: str) -> Any:
    """The value of ``field`` in its one form; `InvalidTask` names the ``owner``, the field and what was given."""
    return CHECKS[field](value, f"{field} of {owner}")
