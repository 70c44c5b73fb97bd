"""A value that many tasks use, and that is sent once to each worker instead of with each task.

The caller holds a `SharedValue`. In a pickle it is a call of `recall`, which finds the value among those that this
process keeps. So arguments need no treatment of their own on a worker: loading them finds the value.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from callboard.messages.errors import UnknownValue

if TYPE_CHECKING:
    from callboard.messages.codec import Packed


class SharedValue:
    """Stands for a value on a stage; what ``put`` gives. Pass it as an argument, or at the top level of ``input_data``.

    Tasks get the value itself, which they must not change: all tasks of a worker's process share it. It is kept for as
    long as this object lives, and for the tasks that were submitted with it.
    """

    def __init__(self, value_id: str, let_go: Callable[[str], object]) -> None:
        self.value_id = value_id
        weakref.finalize(self, let_go, value_id).atexit = False

    def __reduce__(self) -> tuple[Any, ...]:
        return recall, (self.value_id,)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.value_id}>"


def shared_in(values: Iterable[Any]) -> tuple[str, ...]:
    """The ids of the shared values among ``values``."""
    return tuple([value.value_id for value in values if type(value) is SharedValue])


class _Kept:
    """A value as it came, and as it is once somebody has asked for it."""

    def __init__(self, packed: Packed) -> None:
        self._packed: Packed | None = packed
        self._value: Any = None
        self._lock = threading.Lock()

    def value(self) -> Any:
        """The value, unpickled by the first who asks."""
        if self._packed is not None:
            with self._lock:
                if self._packed is not None:
                    from callboard.messages.codec import load  # not above: tasks are declared before there are workers

                    self._value = load(self._packed)
                    self._packed = None
        return self._value


_kept: dict[str, _Kept] = {}


def keep(value_id: str, packed: Packed) -> None:
    """Keep a value in this process for the tasks that will ask for it. Only what came from a proven peer."""
    _kept[value_id] = _Kept(packed)


def let_go(ids: Iterable[str]) -> None:
    """Keep these no longer; unknown ones are no error."""
    for value_id in ids:
        _kept.pop(value_id, None)


def recall(value_id: str) -> Any:
    """The kept value of this id. Raises `UnknownValue`."""
    kept = _kept.get(value_id)
    if kept is None:
        raise UnknownValue(
            f"the shared value {value_id} is not kept here; pass it as an argument itself or at the top level of input_data, "
            "not inside another value"
        )
    return kept.value()
