"""What folds the results of a group into one, as they arrive."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from callboard.messages.result import TaskResult


class Aggregator(ABC):
    """Base of a person's own: gets each result as it arrives, in no certain order, and gives the group's output at the end.

    An instance serves one group, and is called by one thread at a time. What either method raises fails the group.
    """

    @abstractmethod
    def add(self, result: TaskResult) -> None:
        """Take one item's result; one that did not complete comes only under ``on_error="collect"``."""

    @abstractmethod
    def finish(self) -> Any:
        """Give the output of the group, once, after the last `add`."""


class Fold(Aggregator):
    """Folds outputs with a function: ``Fold(operator.add, 0)`` sums them. Keeps one value, however many items there are."""

    def __init__(self, function: Callable[[Any, Any], Any], initial: Any) -> None:
        self._function = function
        self._value = initial

    def add(self, result: TaskResult) -> None:
        """Fold the output in; raises that of an item which did not complete."""
        self._value = self._function(self._value, result.unwrap())

    def finish(self) -> Any:
        """What was folded; ``initial`` when nothing was."""
        return self._value
