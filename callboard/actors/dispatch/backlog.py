"""What is ready to be assigned, gathered during a step and merged into the sorted queues at its end."""

from __future__ import annotations

from callboard.actors.dispatch.agenda import Action, Agenda
from callboard.actors.dispatch.entry import Entry
from callboard.actors.dispatch.isolation import Isolation
from callboard.actors.dispatch.requirement import Profile, Requirement


class Backlog:
    """Ready tasks on their way into their queues, and the profiles that should be looked at."""

    def __init__(self, agenda: Agenda, isolation: Isolation, expire: Action) -> None:
        self._agenda = agenda
        self._isolation = isolation
        self._expire = expire
        self._fresh: dict[Requirement, dict[Entry, None]] = {}
        self._touched: dict[Profile, None] = {}

    @property
    def moved(self) -> bool:
        """Whether there is anything to match."""
        return bool(self._fresh or self._touched)

    def add(self, entry: Entry, now: float) -> None:
        """The task can run: it waits for nothing but a worker."""
        category = entry.category
        requirement = category.requirement
        if requirement in self._fresh:
            self._fresh[requirement][entry] = None
        else:
            self._fresh[requirement] = {entry: None}
        if category.expires_in is not None:
            requirement.waiting[entry] = None
            self._agenda.arm(entry, now + category.expires_in, self._expire)

    def discard(self, entry: Entry) -> None:
        """The task need not be assigned (any more)."""
        self._agenda.disarm(entry)
        requirement = entry.category.requirement
        fresh = self._fresh.get(requirement)
        if fresh is not None:
            fresh.pop(entry, None)
        requirement.discard(entry)

    def touch(self, profile: Profile) -> None:
        """Something changed about a worker of this profile."""
        self._touched[profile] = None

    def merge(self) -> list[Requirement]:
        """Put all into their queues; returns the requirements of which there is more."""
        fresh, self._fresh = self._fresh, {}
        for requirement, entries in fresh.items():
            requirement.add(entries)
            if requirement.suspects:
                self._isolation.requirements[requirement] = None
            self._touched.update(requirement.met_by)
        return list(fresh)

    def take_touched(self) -> dict[Profile, None]:
        """The profiles to be looked at."""
        touched, self._touched = self._touched, {}
        return touched
