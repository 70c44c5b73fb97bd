"""Requirements that the same workers meet, put together, so that a thousand different needs cost no more than a few."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from callboard.actors.dispatch.offer import Offers, Order
from callboard.actors.dispatch.profile import IdleKey, Profile

if TYPE_CHECKING:
    from callboard.actors.dispatch.requirement import Requirement
    from callboard.actors.dispatch.roster import WorkerRecord

Standing = tuple[tuple[int, Profile], ...]
"""Who meets a requirement, the least skilled first: equal numbers for profiles of equal cost."""


class Pool:
    """Requirements of one standing. ``size`` counts their ready tasks."""

    __slots__ = ("_everybody", "number", "offers", "profiles", "size", "standing")

    def __init__(self, number: int, standing: Standing, everybody: Offers[Pool]) -> None:
        self.number = number
        self.standing = standing
        self.profiles = dict.fromkeys(profile for _, profile in standing)
        self.offers: Offers[Requirement] = Offers()
        self.size = 0
        self._everybody = everybody

    @property
    def top(self) -> Order | None:
        """The order of the first of the ready tasks."""
        first = self.offers.first()
        return first.ready.top if first is not None else None

    def first_until(self, until: Order | None) -> Requirement | None:
        """The requirement of the first task, unless that comes after this order."""
        first = self.offers.first()
        if first is None or until is None:
            return first
        top = first.ready.top
        return first if top is not None and top <= until else None

    @property
    def met(self) -> bool:
        """Whether any present worker could take such a task."""
        return any(profile.present for profile in self.profiles)

    def offer(self, requirement: Requirement, top: Order) -> None:
        """A task has become the first of its requirement."""
        if self.offers.offer(requirement, top) and self.profiles:
            # What comes behind the first of the pool changes nothing for anybody: no row for the pool is later than the
            # first row in it, since both are put right together.
            self._everybody.offer(self, top)
            for profile in self.profiles:
                profile.offers.offer(self, top)

    def idle_worker(self) -> WorkerRecord | None:
        """The least skilled idle worker that qualifies; among equals the longest idle, then the first to have joined."""
        found: Profile | None = None
        first: IdleKey | None = None
        found_rank = 0
        for rank, profile in self.standing:
            if found is not None and rank != found_rank:
                break
            key = profile.idle.top
            if key is not None and (first is None or key < first):
                found, first, found_rank = profile, key, rank
        return found.idle.peek() if found is not None else None


class Pools:
    """The pools by standing. ``offers`` are those of all pools that anybody could take."""

    def __init__(self) -> None:
        self.offers: Offers[Pool] = Offers()
        self._pools: dict[Standing, Pool] = {}

    def place(self, requirement: Requirement) -> None:
        """Put a requirement into its pool."""
        standing = requirement.standing()
        pool = self._pools.get(standing)
        if pool is None:
            pool = self._pools[standing] = Pool(len(self._pools), standing, self.offers)
        requirement.pool = pool
        pool.size += len(requirement.ready)
        if requirement.ready.top is not None:
            pool.offer(requirement, requirement.ready.top)

    def renew(self, requirements: Iterable[Requirement], profiles: Iterable[Profile]) -> None:
        """Put all together anew: a kind of worker has come or gone, or requirements are forgotten."""
        self.offers = Offers()
        self._pools = {}
        for profile in profiles:
            profile.offers = Offers()
        for requirement in requirements:
            self.place(requirement)
