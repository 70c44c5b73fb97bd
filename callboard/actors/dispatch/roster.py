"""The workers, by profile, and how much may be sent to each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from callboard.actors.dispatch.entry import Entry
from callboard.actors.dispatch.idle import MOMENT, IdleKey
from callboard.actors.dispatch.pool import Pools
from callboard.actors.dispatch.profile import Profile
from callboard.actors.dispatch.requirement import Requirement, Skills, meets

AHEAD_MICROS = 4000.0
"""How much work is sent ahead to a worker (microseconds of its measured run time), so that it never waits for the post."""
LEAST_MICROS = 8.0  # what a task costs a worker even if it does nothing
MAX_AHEAD = int(AHEAD_MICROS / LEAST_MICROS)


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker says of itself. ``token`` is given to local children by their supervisor: SEAT.START."""

    worker_id: str
    name: str
    role: str
    skills: dict[str, int] = field(default_factory=dict)
    slots: int = 1
    pid: int = 0
    host: str = ""
    token: str | None = None


class Load:
    """What is asked for whenever a worker ends a task or is given one: what it has, and where the roster has put it for that.

    A base of its own, so that these fields lie side by side: of many workers each is far from anything the processor has at
    hand when it is its turn.
    """

    __slots__ = ("idle_key", "inflight", "joined", "loaded", "name", "peculiar", "profile", "slots", "spare", "worker_id")

    idle_key: IdleKey | None  # its place among the idle of its profile
    inflight: dict[str, Entry]  # by id, in the order in which it will begin
    joined: int
    loaded: bool  # whether it has more than it can run at once
    name: str
    peculiar: bool
    profile: Profile
    slots: int
    spare: bool  # whether it may get more than it can run at once
    worker_id: str


class WorkerRecord(Load):
    """One incarnation of a worker: who it is, and what was sent to it.

    ``foreign`` are attempts (fences by task id) that it has as well but that are not, or not yet, this record's: what
    was given to others while it was lost, and what it was given by an earlier manager. They take its slots all the same,
    and it began them before anything that was sent since.

    Most have nothing but tasks of their own. Whoever makes a worker foreign, parked, lent, leaving, alone, reserved or stuck
    says that it is ``peculiar``, so that nobody need ask for each of these at every turn; `Roster.refresh` takes it back.
    """

    __slots__ = (
        "_named",
        "alone",
        "condemned",
        "foreign",
        "info",
        "leaving",
        "lent",
        "parked",
        "recalling",
        "reserved",
        "since",
        "stuck",
    )

    def __init__(self, info: WorkerInfo, profile: Profile, joined: int, since: float) -> None:
        self.idle_key = None
        self.inflight = {}
        self.loaded = False
        self.peculiar = False
        self.profile = profile
        self.slots = info.slots
        self.spare = False
        self.info = info
        self.worker_id = info.worker_id
        self.name = info.name
        self.joined = joined
        self.since = since  # wall clock, for people
        self.foreign: dict[str, int] = {}
        self._named: dict[str, tuple[int, int]] = {}
        # Tasks that wait for tasks and lend their slot, and the same of the foreign. Unlike an empty set, an empty dict is small,
        # and the collector does not walk it.
        self.parked: dict[str, None] = {}
        self.lent: dict[str, None] = {}
        self.leaving = False
        self.alone: Entry | None = None  # the suspect that it runs, beside which nothing may run
        self.reserved = False  # gets nothing more until it is free for a suspect
        self.recalling = False  # until it answers
        self.stuck = False  # had to give something back: gets nothing ahead until it has ended what it runs
        self.condemned = False  # it was asked to end for what it did not stop: the others it runs are not to blame

    @property
    def open_slots(self) -> int:
        """Slots that nothing is running in or waiting for."""
        return (self._slots if self.foreign or self.parked else self.slots) - len(self.inflight)

    @property
    def closed(self) -> bool:
        """Whether it may get nothing more for now."""
        return self.leaving or self.reserved or (self.alone is not None and self.alone.task_id not in self.parked)

    def room(self) -> tuple[int, int]:
        """How many more it may run, less than none if it has more than it can run; and how many more it may have."""
        taken = len(self.inflight)
        free = self.open_slots if taken else max(0, self.open_slots)
        if self.closed:
            return min(0, free), 0
        return free, 0 if self.stuck else self.slots + MAX_AHEAD - taken

    @property
    def quiet(self) -> bool:
        """Whether nothing runs on it but what waits for other tasks."""
        return len(self.inflight) <= len(self.parked) and len(self.foreign) <= len(self.lent)

    def has_peculiarities(self) -> bool:
        """Whether there is still anything that makes it peculiar."""
        apart = self.foreign or self.parked or self.lent
        return bool(apart or self.leaving or self.alone is not None or self.reserved or self.stuck)

    def running(self) -> list[Entry]:
        """What it runs: a worker begins in the order of arrival, so the first of each free slot."""
        return list(islice(self.inflight.values(), max(0, self._slots)))

    def queued(self) -> list[Entry]:
        """What it was sent ahead and has not begun."""
        return list(islice(self.inflight.values(), max(0, self._slots), None))

    @property
    def _slots(self) -> int:
        """How many of its own tasks it can run at once."""
        return self.slots + len(self.parked) + len(self.lent) - len(self.foreign)

    def is_running(self, entry: Entry) -> bool:
        """Whether a task that was sent here has begun, as far as the order of arrival tells."""
        return len(self.inflight) + len(self.foreign) <= self.slots or entry in self.running()

    def holds(self, task_id: str, fence: int) -> None:
        """The worker said that it has this attempt, after those that it has named before."""
        self.peculiar = True
        self.foreign[task_id] = fence
        self._named[task_id] = len(self._named), fence

    def resume(self, entry: Entry, fence: int) -> None:
        """Make a foreign attempt the record's own, in its place in the order in which the worker began."""
        del self.foreign[entry.task_id]
        if entry.task_id in self.lent:
            del self.lent[entry.task_id]
            self.parked[entry.task_id] = None
        rank, _ = self._named[entry.task_id]
        earlier: dict[str, Entry] = {}
        later: dict[str, Entry] = {}
        for task_id, other in self.inflight.items():
            place, named = self._named.get(task_id, (rank, 0))
            (earlier if place < rank and other.fence == named else later)[task_id] = other
        self.inflight = {**earlier, entry.task_id: entry, **later}
        entry.fence = fence
        entry.worker = self


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


def ahead_allowed(mean: float | None, timeout: float | None) -> int:
    """How many tasks of a measured run time may wait at a worker beyond what it runs.

    None before the first was measured, and none where a timeout must not include waiting behind others.
    """
    if mean is None or timeout is not None:
        return 0
    return int(AHEAD_MICROS / mean) if mean > LEAST_MICROS else MAX_AHEAD
