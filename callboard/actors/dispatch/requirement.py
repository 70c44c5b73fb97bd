"""What tasks need, who has it, and the two sorted queues between them.

Tasks with the same needs share a `Requirement` with one sorted queue of what is ready; workers of the same role and
skills share a `Profile`. Whether a profile meets a requirement is decided once for each pair, so that matching costs
O(log n) whatever waits and however many workers there are.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sortedcontainers import SortedList

if TYPE_CHECKING:
    from callboard.actors.dispatch.entry import Entry
    from callboard.actors.dispatch.roster import WorkerRecord

Skills = tuple[tuple[str, int], ...]
Order = int
IdleKey = tuple[float, int, "WorkerRecord"]
"""Since when a worker is idle, as which it joined, and who it is."""


def meets(role: str, skills: dict[str, int], wanted_role: str | None, wanted: Skills) -> bool:
    """Whether a worker of this role and these levels may take a task that wants the others at least."""
    return (wanted_role is None or wanted_role == role) and all(skills.get(tag, 0) >= level for tag, level in wanted)


def cost(skills: dict[str, int], wanted: Skills, role_free: bool) -> tuple[int, int]:
    """How much skill a task would waste on a worker: levels over the needed tags, then (where any role will do) all."""
    return sum(skills.get(tag, 0) for tag, _ in wanted), sum(skills.values()) if role_free and not wanted else 0


class Requirement:
    """A role and the least levels of skills, the ready tasks that need them, and the profiles that have them."""

    __slots__ = (
        "_entries",
        "_offers",
        "met_by",
        "number",
        "profiles",
        "ready",
        "role",
        "short_since",
        "skills",
        "suspects",
        "top",
        "waiting",
        "warning",
    )

    def __init__(self, number: int, role: str | None, skills: Skills, offers: Offers) -> None:
        self.number = number
        self._offers = offers  # of everybody
        self.role = role
        self.skills = skills
        self.ready: SortedList = SortedList()  # the orders of the ready tasks
        self._entries: dict[Order, Entry] = {}  # the ready tasks by them: pairs in the list would be objects of their own
        self.top: Order | None = None  # the order of the first of the ready
        self.profiles: list[tuple[tuple[int, int], Profile]] = []  # by cost
        self.met_by: dict[Profile, None] = {}  # the same, to be united with others
        self.suspects: dict[Entry, None] = {}  # ready as well, but to be run alone
        self.waiting: dict[Entry, None] = {}  # those of the ready that expire when nobody can take them
        self.short_since: float | None = None  # since when no capable worker is present
        self.warning = False  # whether a look is due if a warning is called for

    def add_profile(self, profile: Profile) -> None:
        """Take in a profile if it meets the requirement."""
        if meets(profile.role, profile.skills, self.role, self.skills):
            self.profiles.append((cost(profile.skills, self.skills, self.role is None), profile))
            self.profiles.sort(key=lambda pair: pair[0])
            self.met_by[profile] = None
            if self.top is not None:
                profile.offers.offer(self, self.top)

    def drop_profile(self, profile: Profile) -> None:
        """A profile has no members any more."""
        if profile in self.met_by:
            del self.met_by[profile]
            self.profiles = [pair for pair in self.profiles if pair[1] is not profile]

    def capable(self) -> int:
        """How many present workers could take such a task."""
        return sum(profile.present for _, profile in self.profiles)

    @property
    def met(self) -> bool:
        """Whether any present worker could take such a task."""
        return any(profile.present for profile in self.met_by)

    def add(self, entries: Iterable[Entry]) -> None:
        """Put tasks among the ready."""
        rows = {}
        for entry in entries:
            if entry.rare.suspect:
                self.suspects[entry] = None
            else:
                rows[entry.order] = entry
        if not rows:
            return
        self._entries.update(rows)
        self.ready.update(rows)
        top = self.ready[0]
        if self.top is None or top < self.top:
            # What comes behind the first changes nothing for anybody.
            self.top = top
            self._offers.offer(self, top)
            for profile in self.met_by:
                profile.offers.offer(self, top)

    def discard(self, entry: Entry) -> None:
        """Take a task out of the ready, if it is there."""
        self.waiting.pop(entry, None)
        if entry.rare.suspect:
            self.suspects.pop(entry, None)
        else:
            if self._entries.pop(entry.order, None) is not None:
                self.ready.remove(entry.order)
                self.top = self.ready[0] if self.ready else None

    @property
    def backlog(self) -> int:
        """How many tasks are ready."""
        return len(self.ready) + len(self.suspects)

    def all_ready(self) -> list[Entry]:
        """All that is ready."""
        return [*map(self._entries.__getitem__, self.ready), *self.suspects]

    def pop(self) -> Entry:
        """Take the next task."""
        ready = self.ready
        entry = self._entries.pop(ready.pop(0))
        self.top = ready[0] if ready else None
        return entry

    def first(self) -> Entry | None:
        """The next task, which stays where it is; None when nothing is ready."""
        return self._entries[self.top] if self.top is not None else None

    def idle_worker(self) -> WorkerRecord | None:
        """The least skilled idle worker that qualifies; among equals the longest idle, then the first to have joined."""
        best: IdleKey | None = None
        best_cost: tuple[int, int] | None = None
        for price, profile in self.profiles:
            if best is not None and price != best_cost:
                break
            longest = profile.longest_idle
            if longest is not None and (best is None or longest < best):
                best, best_cost = longest, price
        return best[2] if best else None

    def describe(self) -> str:
        """The needs in words."""
        role = "any role" if self.role is None else f"role {self.role!r}"
        return role + (" with skills " + describe_skills(dict(self.skills)) if self.skills else "")


def describe_skills(skills: dict[str, int]) -> str:
    """Levels by tag in words."""
    return ", ".join(f"{tag}={level}" for tag, level in skills.items())


class Offers:
    """Requirements with ready tasks, the one whose first task comes first at the head.

    A heap of (order, requirement number): for each requirement with ready tasks there is an entry at most as late as its
    first one. Others may have taken that meanwhile, so an entry is a lower bound and is put right when it comes up.
    """

    __slots__ = ("_heap", "_offered", "_requirements")

    def __init__(self) -> None:
        self._heap: list[tuple[Order, int]] = []
        self._offered: dict[int, Order] = {}
        self._requirements: dict[int, Requirement] = {}

    def __len__(self) -> int:
        return len(self._requirements)

    def offer(self, requirement: Requirement, top: Order) -> None:
        """Note that a requirement has something ready, from this order on."""
        self._requirements[requirement.number] = requirement
        known = self._offered.get(requirement.number)
        if known is None or top < known:
            self._offered[requirement.number] = top
            heapq.heappush(self._heap, (top, requirement.number))

    def keep(self, requirements: set[Requirement]) -> None:
        """Forget all other requirements."""
        self._requirements = {number: known for number, known in self._requirements.items() if known in requirements}
        self._offered = {number: order for number, order in self._offered.items() if number in self._requirements}

    def first(self) -> Requirement | None:
        """The requirement whose first task comes first, None when nothing is ready."""
        heap = self._heap
        while heap:
            order, number = heap[0]
            if self._offered.get(number) != order:
                heapq.heappop(heap)  # replaced by an earlier one
                continue
            requirement = self._requirements[number]
            top = requirement.top
            if top == order:
                return requirement
            if top is None:
                heapq.heappop(heap)
                del self._offered[number]
            else:
                self._offered[number] = top
                heapq.heapreplace(heap, (top, number))
        return None


class Profile:
    """All workers of one role and one set of levels, and what is ready for them."""

    __slots__ = ("idle", "longest_idle", "members", "offers", "present", "role", "skills", "spare")

    def __init__(self, role: str, skills: dict[str, int]) -> None:
        self.role = role
        self.skills = skills
        self.present = 0  # workers that are connected and not leaving
        self.members = 0
        self.idle: SortedList = SortedList()
        self.longest_idle: IdleKey | None = None  # the first of them
        self.spare: OrderedDict[WorkerRecord, None] = OrderedDict()  # busy workers to which something may be sent ahead
        self.offers = Offers()

    def rest(self, key: IdleKey) -> None:
        """A worker is idle."""
        self.idle.add(key)
        if self.longest_idle is None or key < self.longest_idle:
            self.longest_idle = key

    def busy(self, key: IdleKey) -> None:
        """A worker is idle no longer."""
        if key is self.longest_idle:
            self.idle.pop(0)
            self.longest_idle = self.idle[0] if self.idle else None
        else:
            self.idle.remove(key)
