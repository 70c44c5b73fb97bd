"""What is ready to be assigned, and who should be looked at for it."""

from __future__ import annotations

from operator import attrgetter

from callboard.actors.dispatch.agenda import Action, Agenda
from callboard.actors.dispatch.entry import Entry
from callboard.actors.dispatch.isolation import Isolation
from callboard.actors.dispatch.pool import Pool
from callboard.actors.dispatch.profile import Profile
from callboard.actors.dispatch.requirement import Requirement

_pool = attrgetter("pool")


class Backlog:
    """Puts ready tasks into their queues, and gathers during a step which requirements have more and which profiles
    should be looked at."""

    def __init__(self, agenda: Agenda, isolation: Isolation, expire: Action) -> None:
        self._agenda = agenda
        self._isolation = isolation
        self._expire = expire
        self._grown: dict[Requirement, None] = {}
        self._touched: dict[Profile, None] = {}

    @property
    def moved(self) -> bool:
        """Whether there is anything to match."""
        return bool(self._grown or self._touched)

    def add(self, entry: Entry, now: float) -> None:
        """The task can run: it waits for nothing but a worker."""
        category = entry.category
        requirement = category.requirement
        self._grown[requirement] = None
        if entry.rare.suspect:
            requirement.suspects[entry] = None
            self._isolation.requirements[requirement] = None
        else:
            requirement.ready += 1
            requirement.pool.put(entry)
        if category.expires_in is not None:
            requirement.waiting[entry] = None
            self._agenda.arm(entry, now + category.expires_in, self._expire)

    def discard(self, entry: Entry) -> None:
        """The task need not be assigned (any more)."""
        self._agenda.disarm(entry)
        entry.category.requirement.discard(entry)

    def touch(self, profile: Profile) -> None:
        """Something changed about a worker of this profile."""
        self._touched[profile] = None

    def take_short(self) -> list[Requirement]:
        """The requirements of which there is more and that nobody who is present meets; whoever meets others is touched."""
        grown, self._grown = self._grown, {}
        short: set[Pool] = set()
        for pool in dict.fromkeys(map(_pool, grown)):  # of thousands of requirements these are a few
            self._touched.update(pool.profiles)
            if not pool.met:
                short.add(pool)
        return [requirement for requirement in grown if requirement.pool in short] if short else []

    def take_touched(self) -> dict[Profile, None]:
        """The profiles to be looked at."""
        touched, self._touched = self._touched, {}
        return touched
