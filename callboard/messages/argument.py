"""What stands among the arguments of a call, or directly in a list, tuple or dict that is one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

CONTAINERS = frozenset((list, tuple, dict))

Place = tuple[Any, ...]
"""Which argument, by position or name; where that is a container, also which of its items, by position or key."""


def places(args: tuple[Any, ...], kwargs: Mapping[str, Any], kind: type[Any]) -> list[tuple[Place, Any]]:
    """Where the objects of a kind stand among the arguments, and which they are, in order."""
    seen: list[tuple[Place, Any]] = []
    for key, value in (*enumerate(args), *kwargs.items()):
        if isinstance(value, kind):
            seen.append(((key,), value))
        elif _holds(value, kind):
            items = value.items() if type(value) is dict else enumerate(value)
            seen += [((key, within), item) for within, item in items if isinstance(item, kind)]
    return seen


def replaced(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], instead: Iterable[tuple[Place, Any]]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with other objects at some places; a container is copied before something in it is."""
    positional, named = list(args), dict(kwargs)
    copies: dict[int | str, Any] = {}
    for (key, *within), value in instead:
        whole: Any = positional if type(key) is int else named
        if not within:
            whole[key] = value
            continue
        if key not in copies:
            copies[key] = dict(whole[key]) if type(whole[key]) is dict else list(whole[key])
        copies[key][within[0]] = value
    for key, copy in copies.items():
        whole = positional if type(key) is int else named
        whole[key] = tuple(copy) if type(whole[key]) is tuple else copy
    return tuple(positional), named


def _holds(value: Any, kind: type[Any]) -> bool:
    # Asked for every argument, so that it loops in C.
    if type(value) not in CONTAINERS:
        return False
    return any(issubclass(each, kind) for each in set(map(type, value.values() if type(value) is dict else value)))
