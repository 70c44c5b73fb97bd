"""Flows whose order follows from what their parts need of each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Self

from callboard.flows.flow import Flow, Item
from callboard.flows.retry import Retry
from callboard.messages.errors import InvalidFlow

Decider = Callable[[Mapping[str, Any]], bool]
"""Takes ``history``: the results of the atoms that the decided links come from, by name; a false answer ignores."""


class Depth(StrEnum):
    """How far a decider's no reaches. What is ignored counts as done."""

    ALL = "all"
    """The target and everything behind it."""
    FLOW = "flow"
    """The target and the tasks behind it in the same flow, flows within it not entered."""
    NEIGHBORS = "neighbors"
    """The target and the tasks right behind it."""
    ATOM = "atom"
    """The target alone."""


class Link(NamedTuple):
    """An order that was asked for, and perhaps a decider about its target."""

    source: Item
    target: Item
    decider: Decider | None = None
    depth: Depth = Depth.ALL


class GraphFlow(Flow):
    """Runs in the order that names require: who needs a name runs after the one who provides it.

    Two who provide what a third needs are an error, unless `link` puts both before it: then the later of those that
    were not ignored is meant.
    """

    def __init__(self, name: str, retry: Retry | None = None, *, namespace: str | None = None) -> None:
        super().__init__(name, retry, namespace=namespace)
        self.links: list[Link] = []
        self.targeted: Item | None = None

    def link(self, source: Item | str, target: Item | str, decider: Decider | None = None, depth: Depth | str = Depth.ALL) -> Self:
        """Let ``target`` run after ``source``; with a ``decider``, only if that says yes to their results."""
        if decider is not None and not callable(decider):
            raise InvalidFlow(f"the decider of a link in flow {self.name!r} must be a function, not {decider!r}")
        if depth not in tuple(Depth):
            raise InvalidFlow(f"the depth of a link in flow {self.name!r} is one of {', '.join(Depth)}, not {depth!r}")
        self.links.append(Link(self._member(source), self._member(target), decider, Depth(depth)))
        return self

    def target(self, item: Item | str | None) -> Self:
        """Run only ``item`` and what has to run before it; None runs all again."""
        self.targeted = None if item is None else self._member(item)
        return self

    def _member(self, wanted: Item | str) -> Item:
        for item in self:
            if item is wanted or (isinstance(wanted, str) and item.name == wanted):
                return item
        raise InvalidFlow(f"{wanted!r} is not in flow {self.name!r}; add it first")
