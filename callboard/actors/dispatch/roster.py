"""The workers, by profile, and which of them may be given more."""

from __future__ import annotations

from collections.abc import Iterable

from callboard.actors.dispatch.credit import MAX_AHEAD
from callboard.actors.dispatch.entry import Entry
from callboard.actors.dispatch.idle import MOMENT
from callboard.actors.dispatch.pool import Pools
from callboard.actors.dispatch.profile import Profile
from callboard.actors.dispatch.record import WorkerInfo, WorkerRecord
from callboard.actors.dispatch.requirement import Requirement, Skills, meets


class Roster:
    """Workers by id and by profile; requirements by what they ask for."""

    def __init__(self) -> None:
        self.workers: dict[str, WorkerRecord] = {}
        self.profiles: dict[tuple[str, Skills], Profile] = {}
        self.requirements: dict[tuple[str | None, Skills], Requirement] = {}
        self.pools = Pools()
        self.loaded: dict[WorkerRecord, None] = {}  # have more than they can run at once
        self.idle_profiles: dict[Profile, None] = {}
        self.expected: dict[str, tuple[str, dict[str, int]]] = {}  # local workers, started again whenever they end, by seat
        self._joined = 0
        self._moment = 0.0
        self._moments = 0
        self._changed = False  # whether the pools are to be put together anew

    def requirement(self, role: str | None, skills: Skills) -> Requirement:
        """The one requirement of this role and these levels."""
        found = self.requirements.get((role, skills))
        if found is None:
            found = self.requirements[role, skills] = Requirement(role, skills)
            for profile in self.profiles.values():
                found.add_profile(profile)
            self.pools.place(found)
        return found

    def keep(self, requirements: set[Requirement]) -> None:
        """Forget all other requirements: no task has them any more."""
        self.requirements = {key: known for key, known in self.requirements.items() if known in requirements}
        self._changed = True

    def regroup(self) -> None:
        """Bring the pools up to date, before anything is matched."""
        if self._changed:
            self._changed = False
            self.pools.renew(self.requirements.values(), self.profiles.values())

    def join(self, info: WorkerInfo, wall: float) -> WorkerRecord:
        """Take in a new incarnation; it gets work from its first `refresh` on."""
        key = info.role, tuple(sorted(info.skills.items()))
        profile = self.profiles.get(key)
        if profile is None:
            profile = self.profiles[key] = Profile(info.role, dict(info.skills))
            for requirement in self.requirements.values():
                requirement.add_profile(profile)
            self._changed = True
        self._joined += 1
        worker = WorkerRecord(info, profile, self._joined, wall)
        profile.present += 1
        profile.members += 1
        self.workers[info.worker_id] = worker
        return worker

    def line_up(self, worker_ids: Iterable[str], now: float) -> None:
        """These joined together, as chance would have it: let them have joined in the order in which they are named."""
        for worker_id in worker_ids:
            worker = self.workers.pop(worker_id, None)
            if worker is None:
                continue
            self.workers[worker_id] = worker
            self._joined += 1
            worker.joined = self._joined
            if worker.idle_key is not None:
                self._rouse(worker)
                self._rest(worker, now)

    def leave(self, worker: WorkerRecord, now: float) -> None:
        """Give the worker nothing more; what it has it may finish."""
        if not worker.leaving:
            worker.leaving = worker.peculiar = True
            worker.profile.present -= 1
        self.refresh(worker, now)

    def drop(self, worker: WorkerRecord, now: float) -> list[Entry]:
        """Forget the worker; returns what it had, in order."""
        entries = list(worker.inflight.values())
        worker.inflight.clear()
        worker.foreign.clear()
        worker.parked.clear()
        worker.lent.clear()
        self.leave(worker, now)
        profile = worker.profile
        profile.members -= 1
        del self.workers[worker.info.worker_id]
        if profile.members == 0:
            self._forget(profile)
        return entries

    def _forget(self, profile: Profile) -> None:
        # A role that came once and left must not be walked past for ever.
        del self.profiles[profile.role, tuple(sorted(profile.skills.items()))]
        for requirement in self.requirements.values():
            requirement.drop_profile(profile)
        self._changed = True

    def refresh(self, worker: WorkerRecord, now: float) -> None:
        """Put the worker where its load belongs: among the idle, the loaded, and those with room for more, or nowhere.

        An idle one has room for more as well, so that a worker that gets one task for each that it has ended stays there.
        """
        free = worker.slots - len(worker.inflight)
        room = free + MAX_AHEAD
        if worker.peculiar:
            free, room = worker.room()
            worker.peculiar = worker.has_peculiarities()
        if free > 0:
            if worker.idle_key is None:
                self._rest(worker, now)
        elif worker.idle_key is not None:
            self._rouse(worker)
        if free < 0:
            if not worker.loaded:
                worker.loaded = True
                self.loaded[worker] = None
        elif worker.loaded:
            worker.loaded = False
            del self.loaded[worker]
        if room > 0:
            if not worker.spare:
                worker.profile.spare_or_not(worker, True)
        elif worker.spare:
            worker.profile.spare_or_not(worker, False)

    def engage(self, worker: WorkerRecord, now: float) -> None:
        """The first of the idle of its profile was given a task: a shorter `refresh`."""
        if worker.peculiar:
            self.refresh(worker, now)
        elif len(worker.inflight) >= worker.slots:
            profile = worker.profile
            profile.idle.pop()
            if profile.idle.top is None:
                del self.idle_profiles[profile]

    def _rest(self, worker: WorkerRecord, now: float) -> None:
        if now != self._moment:
            self._moment = now
            self._moments += MOMENT
        profile = worker.profile
        if profile.idle.top is None:
            self.idle_profiles[profile] = None
        profile.idle.add(self._moments + worker.joined, worker)

    def _rouse(self, worker: WorkerRecord) -> None:
        profile = worker.profile
        profile.idle.remove(worker)
        if profile.idle.top is None:
            del self.idle_profiles[profile]

    def expects(self, requirement: Requirement) -> bool:
        """Whether a local worker, here or being started (again), could meet the requirement."""
        return any(meets(role, skills, requirement.role, requirement.skills) for role, skills in self.expected.values())
