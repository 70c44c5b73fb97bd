"""What tasks need, and who has it.

Tasks with the same needs share a `Requirement`, workers of the same role and skills share a `Profile`. Whether a profile
meets a requirement is decided once for each pair. Requirements that the same profiles meet share a `Pool` with one sorted
queue of what is ready, so that matching costs O(log n) whatever waits and however many workers there are.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from sortedcontainers import SortedKeyList

if TYPE_CHECKING:
    from callboard.actors.dispatch.entry import Entry
    from callboard.actors.dispatch.pool import Pool, Standing
    from callboard.actors.dispatch.profile import Profile

Skills = tuple[tuple[str, int], ...]


def meets(role: str, skills: dict[str, int], wanted_role: str | None, wanted: Skills) -> bool:
    """Whether a worker of this role and these levels may take a task that wants the others at least."""
    return (wanted_role is None or wanted_role == role) and all(skills.get(tag, 0) >= level for tag, level in wanted)


def cost(skills: dict[str, int], wanted: Skills, role_free: bool) -> tuple[int, int]:
    """How much skill a task would waste on a worker: levels over the needed tags, then (where any role will do) all."""
    return sum(skills.get(tag, 0) for tag, _ in wanted), sum(skills.values()) if role_free and not wanted else 0


class Requirement:
    """A role and the least levels of skills, the ready tasks that need them, and the profiles that have them."""

    __slots__ = (
        "met_by",
        "pool",
        "profiles",
        "ready",
        "role",
        "short_since",
        "skills",
        "suspects",
        "waiting",
        "warning",
    )

    pool: Pool

    def __init__(self, role: str | None, skills: Skills) -> None:
        self.role = role
        self.skills = skills
        self.ready = 0  # how many of the ready tasks in the pool are of this requirement
        self.profiles: SortedKeyList = SortedKeyList(key=itemgetter(0))  # with their costs, the least first
        self.met_by: dict[Profile, None] = {}  # the same, to be found in
        self.suspects: dict[Entry, None] = {}  # ready as well, but to be run alone, and in no pool
        self.waiting: dict[Entry, None] = {}  # those of the ready that expire when nobody can take them
        self.short_since: float | None = None  # since when no capable worker is present
        self.warning = False  # whether a look is due if a warning is called for

    def add_profile(self, profile: Profile) -> None:
        """Take in a profile if it meets the requirement."""
        if meets(profile.role, profile.skills, self.role, self.skills):
            self.profiles.add((cost(profile.skills, self.skills, self.role is None), profile))
            self.met_by[profile] = None

    def drop_profile(self, profile: Profile) -> None:
        """A profile has no members any more."""
        if profile in self.met_by:
            del self.met_by[profile]
            self.profiles.remove((cost(profile.skills, self.skills, self.role is None), profile))

    def standing(self) -> Standing:
        """Who meets it, the least skilled first."""
        return tuple(tuple(profile for _, profile in equals) for _, equals in groupby(self.profiles, key=itemgetter(0)))

    def capable(self) -> int:
        """How many present workers could take such a task."""
        return sum(profile.present for profile in self.met_by)

    @property
    def met(self) -> bool:
        """Whether any present worker could take such a task."""
        return any(profile.present for profile in self.met_by)

    def discard(self, entry: Entry) -> None:
        """Take a task out of the ready, if it is there."""
        self.waiting.pop(entry, None)
        if entry.rare.suspect:
            self.suspects.pop(entry, None)
        elif self.pool.discard(entry.order):
            self.ready -= 1

    @property
    def backlog(self) -> int:
        """How many tasks are ready."""
        return self.ready + len(self.suspects)

    def in_row(self) -> list[Entry]:
        """What is ready, in order, but for suspects. Looks at all of the pool."""
        return [entry for entry in self.pool if entry.category.requirement is self]

    def all_ready(self) -> list[Entry]:
        """All that is ready."""
        return [*self.in_row(), *self.suspects]

    def describe(self) -> str:
        """The needs in words."""
        role = "any role" if self.role is None else f"role {self.role!r}"
        return role + (" with skills " + describe_skills(dict(self.skills)) if self.skills else "")


def describe_skills(skills: dict[str, int]) -> str:
    """Levels by tag in words."""
    return ", ".join(f"{tag}={level}" for tag, level in skills.items())
