"""The two kinds of join behind one face: an `Aggregator`, and a plain function of all outputs in the items' order."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from callboard.gather.aggregator import Aggregator
from callboard.gather.decision import Feed
from callboard.messages.errors import InvalidTask

JoinFunction = Callable[[list[Any]], Any]


class Join(ABC):
    """Where a group's shell carries `Feed` decisions to. What a person's code raises comes out of either method."""

    @abstractmethod
    def feed(self, feed: Feed) -> None:
        """Take one item's result."""

    @abstractmethod
    def finish(self) -> Any:
        """Give the output of the group."""


def make_join(join: Aggregator | type[Aggregator] | JoinFunction | None) -> Join:
    """The join for what a person gave: an aggregator or its class, a function, or None for the list of outputs.

    A function gets a list of the outputs in the order of the items, whatever order they came in; an item that did not
    complete stands in it as its `TaskResult` (under ``on_error="collect"``) or is left out. Raises `InvalidTask`.
    """
    if isinstance(join, type) and issubclass(join, Aggregator):
        join = join()
    if isinstance(join, Aggregator):
        _check_plain(join.add, join.finish)
        return AggregatorJoin(join)
    if join is None:
        return FunctionJoin(list)
    if callable(join):
        _check_plain(join)
        return FunctionJoin(join)
    raise InvalidTask(f"join must be a function of the list of outputs or an Aggregator, not {join!r}")


def _check_plain(*functions: Callable[..., Any]) -> None:
    for function in functions:
        if inspect.iscoroutinefunction(function):
            name = getattr(function, "__qualname__", repr(function))
            raise InvalidTask(f"{name} joins in a thread without an event loop: make it a plain def, not async")


class AggregatorJoin(Join):
    """Hands each result on as it arrives."""

    def __init__(self, aggregator: Aggregator) -> None:
        self._aggregator = aggregator

    def feed(self, feed: Feed) -> None:
        """Add it."""
        self._aggregator.add(feed.result)

    def finish(self) -> Any:
        """What the aggregator makes of all."""
        return self._aggregator.finish()


class FunctionJoin(Join):
    """Keeps the outputs until all are there, then calls the function with them in the order of the items."""

    def __init__(self, function: JoinFunction) -> None:
        self._function = function
        self._values: dict[int, Any] = {}

    def feed(self, feed: Feed) -> None:
        """Keep the output, or the result of an item that did not complete."""
        self._values[feed.index] = feed.result.output if feed.result.success else feed.result

    def finish(self) -> Any:
        """What the function makes of the list."""
        return self._function([self._values[index] for index in sorted(self._values)])
