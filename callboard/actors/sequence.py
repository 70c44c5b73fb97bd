"""Messages that must arrive once each: numbered, kept until acknowledged, taken only in order.

A link that is cut loses what was under way on it. After it the sender says again what it has kept, and the receiver takes
it up where it had stopped. So neither a gap nor a repetition is ever taken for something new.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Verdict(StrEnum):
    """What a number says of the message that has it."""

    NEXT = "next"
    AGAIN = "again"  # it has come before
    GAP = "gap"  # one before it is missing


class Kept(Generic[T]):
    """The sender's side: what was said and is not known to have been heard. ``settled``: up to this number all is."""

    __slots__ = ("_items", "settled")

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self.settled = 0

    @property
    def next(self) -> int:
        """The number of what is added next."""
        return self.settled + len(self._items) + 1

    def add(self, item: T) -> None:
        """Keep what is said as number `next`."""
        self._items.append(item)

    def acknowledged(self, number: int) -> list[T]:
        """All up to this number has been heard; returns what is kept no longer."""
        return [self.let_go() for _ in range(min(number - self.settled, len(self._items)))]

    def let_go(self) -> T:
        """Keep the oldest no longer."""
        self.settled += 1
        return self._items.popleft()

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


class Heard:
    """The receiver's side: all up to number ``upto`` has been taken."""

    __slots__ = ("upto",)

    def __init__(self, upto: int = 0) -> None:
        self.upto = upto

    def settled(self, upto: int) -> None:
        """The sender knows that all up to this number was taken, perhaps before this record of it was begun."""
        self.upto = max(self.upto, upto)

    def judge(self, number: int) -> Verdict:
        """Whether a message is the next one."""
        if number == self.upto + 1:
            return Verdict.NEXT
        return Verdict.AGAIN if number <= self.upto else Verdict.GAP

    def take(self, number: int) -> Verdict:
        """Likewise, and the next one is taken."""
        verdict = self.judge(number)
        if verdict is Verdict.NEXT:
            self.upto = number
        return verdict
