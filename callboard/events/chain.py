"""The guard against listeners that start each other for ever, one by one or ever more of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from callboard.messages.errors import ChainTooDeep

BREADTH = 100
"""How often, in ``max_chain``, listeners may be started by what they caused themselves, all branches taken together."""


class _Cause:
    """What all links of chains from one first cause share."""

    __slots__ = ("again", "refusals", "stopped")

    def __init__(self) -> None:
        self.again: Iterator[int] = itertools.count(1)
        self.refusals: Iterator[int] = itertools.count()
        self.stopped = False


class Chain:
    """A link of a chain in which each was started by the one before, from a first cause (depth 0: what a person did).

    It knows which listeners the chain has gone through. Only one that it comes to ``again`` is counted, for all branches
    from the first cause together: wide work has no bound, and listeners that multiply have one. Thread-safe.
    """

    __slots__ = ("_cause", "_listeners", "again", "depth")

    def __init__(self) -> None:
        self.depth = 0
        self.again = False
        self._listeners: frozenset[str] = frozenset()
        self._cause = _Cause()

    def follow(self, listener: str, max_chain: int, what: str, topic: str, crowd: int = 0) -> Chain:
        """The link of ``what`` a listener starts on an event of ``topic`` that this link caused.

        ``crowd`` is how many links to which a chain came again are still open, of all first causes. Raises
        `ChainTooDeep`, naming what and topic, when the link would be deeper than ``max_chain``; and when it comes to a
        listener again, and that happened `BREADTH` times as often or the crowd is as large. After the latter no chain
        from this first cause comes to any listener again.
        """
        if self.depth >= max_chain:
            raise ChainTooDeep(
                f"{what}, started by {topic!r}, would be number {self.depth + 1} of a chain in which each was started by the one before; "
                f"max_chain allows {max_chain}. A listener probably causes the event that it listens to: narrow its where"
            )
        link = Chain.__new__(Chain)
        link.depth = self.depth + 1
        link.again = listener in self._listeners
        link._listeners = self._listeners if link.again else self._listeners | {listener}
        link._cause = self._cause
        if link.again:
            self._count(max_chain * BREADTH, f"{what}, started by {topic!r},", crowd)
        return link

    def _count(self, limit: int, what: str, crowd: int) -> None:
        cause = self._cause
        if cause.stopped or crowd >= limit or next(cause.again) > limit:
            cause.stopped = True
            raise ChainTooDeep(
                f"{what} is one of ever more: what listeners caused started them again {limit:,} times, and max_chain allows no more "
                f"than {BREADTH} times itself. Several listeners probably hear each event that they cause: narrow their where"
            )

    def first_refusal(self) -> bool:
        """Whether nothing that comes from the same first cause was refused before; from now on something was."""
        return next(self._cause.refusals) == 0
