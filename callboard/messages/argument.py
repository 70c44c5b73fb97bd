"""What stands among the arguments of a call, or directly in a list, tuple or dict that is one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CONTAINERS = frozenset((list, tuple, dict))


@dataclass(frozen=True, slots=True)
class Reference:
    """Stands in a call's arguments for the output of a task that it depends on."""

    task_id: str

    def __reduce__(self) -> tuple[type[Reference], tuple[str]]:
        # What a dataclass with slots does instead looks its fields up by name, at both ends, which takes longer than all else.
        return Reference, (self.task_id,)


def found(values: Iterable[Any], kind: type[Any]) -> list[Any]:
    """The objects of a kind among the values and directly inside them, in order."""
    seen = []
    for value in values:
        if isinstance(value, kind):
            seen.append(value)
        elif holds(value, kind):
            seen += [item for item in _items(value) if isinstance(item, kind)]
    return seen


def holds(value: Any, kind: type[Any]) -> bool:
    """Whether a value is a list, tuple or dict with such an object in it. Asked for every argument, so that it loops in C."""
    return type(value) in CONTAINERS and any(issubclass(each, kind) for each in set(map(type, _items(value))))


def swapped(value: Any, kind: type[Any], instead: Callable[[Any], Any]) -> Any:
    """``value`` with something else ``instead`` of each object of a kind; a container that holds one is copied."""
    if isinstance(value, kind):
        return instead(value)
    if not holds(value, kind):
        return value
    items = [instead(item) if isinstance(item, kind) else item for item in _items(value)]
    return dict(zip(value, items, strict=True)) if type(value) is dict else type(value)(items)


def all_swapped(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], kind: type[Any], instead: Callable[[Any], Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same for all arguments of a call."""
    return tuple(swapped(value, kind, instead) for value in args), {name: swapped(value, kind, instead) for name, value in kwargs.items()}


def _items(container: Any) -> Iterable[Any]:
    return container.values() if type(container) is dict else container
