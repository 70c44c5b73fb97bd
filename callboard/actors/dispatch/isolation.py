"""Suspects: tasks that may have killed a worker run again with nothing beside them, so that only the guilty is blamed."""

from __future__ import annotations

from collections.abc import Callable

from callboard.actors.dispatch.entry import Entry
from callboard.actors.dispatch.profile import Profile
from callboard.actors.dispatch.record import WorkerRecord
from callboard.actors.dispatch.requirement import Requirement
from callboard.actors.dispatch.roster import Roster

Admit = Callable[[Entry, float], bool]
Assign = Callable[[WorkerRecord, Entry, float], None]


class Isolation:
    """Finds each suspect a worker to itself; where there is none, one is reserved until what it has is done.

    What waits for other tasks does not count as company: it may wait for the suspect.
    """

    def __init__(self, roster: Roster, admit: Admit, assign: Assign) -> None:
        self._roster = roster
        self._admit = admit
        self._assign = assign
        self._reserved: dict[Requirement, WorkerRecord] = {}
        self.requirements: dict[Requirement, None] = {}
        """Those that have suspects."""

    def step(self, now: float) -> None:
        """Assign the suspects that can be."""
        for requirement in list(self.requirements):
            while requirement.suspects:
                entry = next(iter(requirement.suspects))
                worker = self._quiet_worker(requirement)
                if worker is None:
                    break
                del requirement.suspects[entry]
                if entry.category.breaker_key is not None and not self._admit(entry, now):
                    continue
                self._release(requirement, now)
                worker.alone, worker.peculiar = entry, True
                self._assign(worker, entry, now)
                self._roster.refresh(worker, now)
            if not requirement.suspects:
                del self.requirements[requirement]
                self._release(requirement, now)
            elif requirement not in self._reserved or self._reserved[requirement].leaving:
                self._reserve(requirement, now)

    def _quiet_worker(self, requirement: Requirement) -> WorkerRecord | None:
        reserved = self._reserved.get(requirement)
        if reserved is not None and reserved.quiet and not reserved.leaving:
            return reserved
        profile: Profile
        for _, profile in requirement.profiles:
            for worker in profile.idle:
                if worker.quiet:
                    return worker
        return None

    def _reserve(self, requirement: Requirement, now: float) -> None:
        self._release(requirement, now)
        profiles = {profile for _, profile in requirement.profiles}
        able = [worker for worker in self._roster.workers.values() if worker.profile in profiles and not worker.closed]
        if able:
            worker = min(able, key=lambda worker: len(worker.inflight))
            worker.reserved = worker.peculiar = True
            self._reserved[requirement] = worker
            self._roster.refresh(worker, now)

    def _release(self, requirement: Requirement, now: float) -> None:
        worker = self._reserved.pop(requirement, None)
        if worker is not None:
            worker.reserved = False
            if worker.info.worker_id in self._roster.workers:
                self._roster.refresh(worker, now)
