"""Which events of a topic a listener wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from callboard.messages.errors import InvalidSetting
from callboard.messages.event import Event

Where = Mapping[str, Any] | Callable[[Event], bool]
"""Values that an event must have; or, where the listener is in this process, a function that says whether it is wanted."""

FIELDS = frozenset({"topic", "task_id", "name", "worker"})
_MISSING = object()


def check_where(where: object) -> None:
    """Raise `InvalidSetting` for what is no `Where`."""
    if isinstance(where, Mapping):
        odd = [key for key in where if not isinstance(key, str)]
        if odd:
            raise InvalidSetting(f"where must name fields of the event by text, not by {odd[0]!r}")
    elif where is not None and not callable(where):
        raise InvalidSetting(f"where must be a mapping such as {{'name': 'portrait'}} or a function of the event, not {where!r}")


def matches(event: Event, where: Where | None) -> bool:
    """Whether ``event`` has what ``where`` asks for.

    A key names a field of the event (topic, task_id, name, worker), or an entry of its data where there is no such field
    or the field is None. The value wanted is one value, or a set, list or tuple of those that will do.
    What a function raises comes out.
    """
    if where is None:
        return True
    if isinstance(where, Mapping):
        return all(_has(event, key, wanted) for key, wanted in where.items())
    return bool(where(event))


def _has(event: Event, key: str, wanted: Any) -> bool:
    value = getattr(event, key) if key in FIELDS else _MISSING
    if value is None or value is _MISSING:
        value = event.data.get(key, value)
    if isinstance(wanted, set | frozenset | list | tuple):
        # Not by `in`: a value of the data need not be hashable.
        return any(value == one for one in wanted)
    return bool(value == wanted)
