"""What the dispatcher knows of one worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from callboard.actors.dispatch.credit import MAX_AHEAD
from callboard.actors.dispatch.entry import Entry
from callboard.actors.dispatch.idle import IdleKey
from callboard.actors.dispatch.profile import Profile

_NONE: dict[str, Any] = {}
"""What most workers have of what only few have; who gets some gets a dict of its own. Always empty."""


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
        self.foreign: dict[str, int] = _NONE
        self._named: dict[str, tuple[int, int]] = _NONE
        self.parked: dict[str, None] = _NONE  # tasks that wait for tasks and lend their slot
        self.lent: dict[str, None] = _NONE  # the same of the foreign
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
        # Without tasks of its own it has none too many, whatever takes its slots: there is nothing to be called back.
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
        self.foreign, self._named = self.foreign or {}, self._named or {}
        self.foreign[task_id] = fence
        self._named[task_id] = len(self._named), fence

    def park(self, task_id: str, foreign: bool) -> None:
        """A task of its own, or a foreign one, waits for other tasks and lends its slot."""
        self.peculiar = True
        if foreign:
            self.lent = self.lent or {}
            self.lent[task_id] = None
        else:
            self.parked = self.parked or {}
            self.parked[task_id] = None

    def unpark(self, task_id: str, foreign: bool) -> None:
        """It goes on."""
        (self.lent if foreign else self.parked).pop(task_id, None)

    def resume(self, entry: Entry, fence: int) -> None:
        """Make a foreign attempt the record's own, in its place in the order in which the worker began."""
        del self.foreign[entry.task_id]
        if entry.task_id in self.lent:
            del self.lent[entry.task_id]
            self.park(entry.task_id, False)
        rank, _ = self._named[entry.task_id]
        earlier: dict[str, Entry] = {}
        later: dict[str, Entry] = {}
        for task_id, other in self.inflight.items():
            place, named = self._named.get(task_id, (rank, 0))
            (earlier if place < rank and other.fence == named else later)[task_id] = other
        self.inflight = {**earlier, entry.task_id: entry, **later}
        entry.fence = fence
        entry.worker = self
