"""Tasks made of one small function and the names of its inputs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from callboard.flows.signature import signature_of
from callboard.flows.task import Task
from callboard.messages.errors import InvalidTask


class _OverNames(Task):
    """Takes the values of ``requires``, in that order."""

    takes = 1
    least = 1

    def __init__(self, function: Callable[..., Any], requires: Iterable[str], name: str | None = None, **declared: Any) -> None:
        if not callable(function):
            raise InvalidTask(f"{type(self).__name__} needs a function, not {function!r}")
        if isinstance(requires, str) or not isinstance(requires, Iterable):
            raise InvalidTask(f"requires of {type(self).__name__} must be several names, such as ['a', 'b'], not {requires!r}")
        self.function = function
        self.order = tuple(requires)
        if len(self.order) < self.least:
            raise InvalidTask(f"{type(self).__name__} needs at least {self.least} names in requires, not {list(self.order)}")
        signature = signature_of(function)
        if not signature.open and len(signature.required) > self.takes:
            raise InvalidTask(f"the function of {type(self).__name__} takes {self.takes} arguments, not {len(signature.required)}")
        super().__init__(name or getattr(function, "__name__", None), requires=self.order, **declared)


class MapTask(_OverNames):
    """Gives the list of ``function(value)`` for the values of ``requires``, in their order."""

    def execute(self, **values: Any) -> list[Any]:
        """Call the function with each."""
        return [self.function(values[name]) for name in self.order]


class ReduceTask(_OverNames):
    """Folds the values of ``requires``, two at least, in their order, by ``function(so far, value)``."""

    takes = 2
    least = 2

    def execute(self, **values: Any) -> Any:
        """Fold them."""
        return functools.reduce(self.function, [values[name] for name in self.order])
