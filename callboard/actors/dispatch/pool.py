"""What is ready, in one queue for all needs that the same workers meet, so that a thousand different needs cost no more than
a few."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from callboard.actors.dispatch.idle import IdleKey
from callboard.actors.dispatch.offer import PRIORITY, Offers, Order
from callboard.actors.dispatch.profile import Profile
from callboard.actors.dispatch.queue import Queue

if TYPE_CHECKING:
    from callboard.actors.dispatch.entry import Entry
    from callboard.actors.dispatch.requirement import Requirement

Standing = tuple[tuple[Profile, ...], ...]
"""Who meets a requirement, the least skilled first, those of equal cost side by side."""


class Pool(Queue["Entry"]):
    """The ready tasks of all requirements of one standing."""

    __slots__ = ("_everybody", "number", "profiles", "standing")

    def __init__(self, number: int, standing: Standing, everybody: Offers[Pool]) -> None:
        super().__init__()
        self.number = number
        self.standing = standing
        self.profiles = dict.fromkeys(profile for equals in standing for profile in equals)
        self._everybody = everybody

    @property
    def priority(self) -> int:
        """That of the first task, of which there must be one."""
        assert self.top is not None
        return -(self.top // PRIORITY)

    @property
    def met(self) -> bool:
        """Whether any present worker could take such a task."""
        return any(profile.present for profile in self.profiles)

    def put(self, entry: Entry) -> None:
        """A task has become ready."""
        if self.add(entry.order, entry):
            self._offer(entry.order)

    def take(self) -> Entry:
        """Take the first task. There must be one."""
        entry = self.pop()
        entry.category.requirement.ready -= 1
        return entry

    def inherit(self, former: Pool) -> None:
        """Take over all that was ready in a former pool."""
        self.replace(former)
        if self.top is not None:
            self._offer(self.top)

    def _offer(self, top: Order) -> None:
        # Without anybody to take it there is nothing to be looked for.
        if self.profiles:
            self._everybody.offer(self, top)
            for profile in self.profiles:
                profile.offers.offer(self, top)


def longest_idle(equals: tuple[Profile, ...]) -> Profile | None:
    """The profile with the longest idle worker, the first to have joined where several are; None when nobody is idle."""
    if len(equals) == 1:
        return equals[0] if equals[0].idle.top is not None else None
    found: Profile | None = None
    first: IdleKey | None = None
    for profile in equals:
        key = profile.idle.top
        if key is not None and (first is None or key < first):
            found, first = profile, key
    return found


class Pools:
    """The pools by standing. ``offers`` are those of all pools that anybody could take."""

    def __init__(self) -> None:
        self.offers: Offers[Pool] = Offers()
        self._pools: dict[Standing, Pool] = {}

    def place(self, requirement: Requirement) -> None:
        """Put a requirement into its pool. What is ready of it stays where it is."""
        standing = requirement.standing()
        pool = self._pools.get(standing)
        if pool is None:
            pool = self._pools[standing] = Pool(len(self._pools), standing, self.offers)
        requirement.pool = pool

    def renew(self, requirements: Iterable[Requirement], profiles: Iterable[Profile]) -> None:
        """Put all together anew: a kind of worker has come or gone, or requirements are forgotten.

        What is ready moves as a whole, but for pools that are parted or joined.
        """
        self.offers = Offers()
        self._pools = {}
        for profile in profiles:
            profile.offers = Offers()
        heirs: dict[Pool, dict[Pool, None]] = {}
        for requirement in requirements:
            former = requirement.pool
            self.place(requirement)
            if requirement.ready:
                heirs.setdefault(former, {})[requirement.pool] = None
        for former, pools in heirs.items():
            only = next(iter(pools))
            if len(pools) == 1 and not only:
                only.inherit(former)
            else:
                for entry in former:
                    entry.category.requirement.pool.put(entry)
