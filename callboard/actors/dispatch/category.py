"""The table of task categories: one for each spec, found by the spec object or by its value."""

from __future__ import annotations

from callboard.actors.dispatch.entry import Category
from callboard.actors.dispatch.ledger import Ledger
from callboard.actors.dispatch.roster import Roster
from callboard.messages.spec import TaskSpec

MAX_SPECS = 20_000


class Categories:
    """Finds the category of a spec. Bounded: with too many specs the table begins anew, and so do the requirements that
    no open task has."""

    def __init__(self, roster: Roster, ledger: Ledger, limit: int = MAX_SPECS) -> None:
        self._roster = roster
        self._ledger = ledger
        self._limit = limit
        self._by_value: dict[TaskSpec, Category] = {}
        self._by_identity: dict[int, tuple[TaskSpec, Category]] = {}  # the spec is kept, and so its id()
        self._numbered = 0

    def of(self, spec: TaskSpec) -> Category:
        """The category of a spec."""
        known = self._by_identity.get(id(spec))
        if known is not None:
            return known[1]
        if len(self._by_identity) >= self._limit:
            self._begin_anew()
        category = self._by_value.get(spec)
        if category is None:
            self._numbered += 1
            requirement = self._roster.requirement(spec.role, spec.skills)
            category = self._by_value[spec] = Category(self._numbered, spec, requirement)
            self._ledger.archive.categories[self._numbered] = category
        self._by_identity[id(spec)] = spec, category
        return category

    def _begin_anew(self) -> None:
        self._by_value.clear()
        self._by_identity.clear()
        entries = self._ledger.entries.values()
        self._ledger.archive.keep_categories(entry.category for entry in entries)
        self._roster.keep({entry.category.requirement for entry in entries if not entry.final})
