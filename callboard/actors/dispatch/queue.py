"""What comes mostly in order, the first at the head."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Generic, TypeVar

from callboard.actors.dispatch.offer import Order

SPARE_PLACES = 64

V = TypeVar("V")


class Queue(Generic[V]):
    """Values by unique keys; ``top`` is the least key, None when there is none.

    Most keys come in order: theirs is a row, to which they are appended. What comes out of order goes to a heap. What was
    taken out leaves its place behind until that comes up; should it be put back, its place is still the right one, and a
    second one does no harm.
    """

    __slots__ = ("_late", "_row", "_values", "top")

    def __init__(self) -> None:
        self._values: dict[Order, V] = {}
        self._row: deque[Order] = deque()
        self._late: list[Order] = []  # a heap
        self.top: Order | None = None

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: Order) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[V]:
        """The values in order."""
        return (self._values[key] for key in sorted(self._values))

    def add(self, key: Order, value: V) -> bool:
        """Put in a value; whether it is now the first."""
        self._values[key] = value
        row = self._row
        if row and key < row[-1]:
            heappush(self._late, key)
        else:
            row.append(key)
        top = self.top
        if top is not None and top < key:
            return False
        self.top = key
        return True

    def peek(self) -> V:
        """The first value. There must be one."""
        return self._values[self.top]  # type: ignore[index]

    def pop(self) -> V:
        """Take the first value. There must be one."""
        values, row = self._values, self._row
        value = values.pop(self.top)  # type: ignore[arg-type]
        if self._late:
            self._look()
            return value
        self.top = None
        row.popleft()  # where none came late it is the first of the row
        while row:
            key = row[0]
            if key in values:
                self.top = key
                break
            row.popleft()
        return value

    def discard(self, key: Order) -> bool:
        """Take a value out; whether it was in."""
        values = self._values
        if key not in values:
            return False
        if key == self.top:
            self.pop()
            return True
        del values[key]
        if len(self._row) + len(self._late) > 2 * len(values) + SPARE_PLACES:
            self._row = deque(sorted(values))
            self._late = []
        return True

    def _look(self) -> None:
        """Find the first, past the places of what is gone."""
        values, row, late = self._values, self._row, self._late
        while row and row[0] not in values:
            row.popleft()
        self.top = row[0] if row else None
        while late and late[0] not in values:
            heappop(late)
        if late and (self.top is None or late[0] < self.top):
            self.top = late[0]

    def replace(self, other: Queue[V]) -> None:
        """Become what the other was, which must not be used any more."""
        self._values, self._row, self._late, self.top = other._values, other._row, other._late, other.top
