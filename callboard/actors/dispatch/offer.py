"""What has something ready, whatever has the first task at the head."""

from __future__ import annotations

from heapq import heappop, heappush, heapreplace
from typing import Generic, Protocol, TypeVar

Order = int
"""Sorts ready tasks, by priority and then by age. No two have the same."""
PRIORITY = 1 << 42
"""By how many tasks one of a priority higher by one is ahead: more than there will ever be."""


class Offering(Protocol):
    """Has a number of its own, and the order of the first of its ready tasks, None when there is none."""

    @property
    def number(self) -> int: ...
    @property
    def top(self) -> Order | None: ...


T = TypeVar("T", bound=Offering)


class Offers(Generic[T]):
    """A heap of (order, number, who): for each that has ready tasks there is a row at most as late as its first one.

    Others may have taken that meanwhile, so a row is a lower bound and is put right when it comes up.
    """

    __slots__ = ("_heap", "_offered")

    def __init__(self) -> None:
        self._heap: list[tuple[Order, int, T]] = []
        self._offered: dict[int, Order] = {}

    def __len__(self) -> int:
        return len(self._offered)

    def offer(self, offering: T, top: Order) -> None:
        """Note that one has something ready, from this order on."""
        number = offering.number
        known = self._offered.get(number)
        if known is None or known > top:
            self._offered[number] = top
            heappush(self._heap, (top, number, offering))

    def first(self) -> tuple[T, Order | None] | None:
        """The one whose first task comes first, and up to which order at least it is before all others (None when there are no
        others); None when nothing is ready."""
        heap, offered = self._heap, self._offered
        while heap:
            order, number, offering = heap[0]
            if offered.get(number) != order:
                heappop(heap)  # replaced by an earlier one
                continue
            top = offering.top
            if top is None:
                heappop(heap)
                del offered[number]
            elif len(heap) == 1:
                return offering, None
            elif top == order:
                second = heap[1][0]
                return offering, second if len(heap) == 2 or second < heap[2][0] else heap[2][0]
            else:
                offered[number] = top
                heapreplace(heap, (top, number, offering))
        return None

    def all(self) -> set[T]:
        """All that may have something ready."""
        return {offering for _, _, offering in self._heap}
