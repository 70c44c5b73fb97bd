"""Circles among dependencies, found as each task comes, in whatever order they come.

After M. Bender, J. Fineman, S. Gilbert, R. Tarjan, "A New Approach to Incremental Cycle Detection and Related Problems"
(2015), the algorithm for sparse graphs. Each task has a level, and none has a lower one than what it waits for. What a
new task needs may close a circle only if somebody waits for that task already. The search backwards stays on one level
and ends after so many steps; what it has not settled is settled by raising the levels of those that wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from callboard.actors.dispatch.entry import NOTHING_RARE, Entry
from callboard.messages.status import FINAL

STEPS = 20
"""How far to look back before levels are raised instead."""


class Levels:
    """Gives tasks their levels; ``entries`` are all tasks by id."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries

    def place(self, entry: Entry) -> list[str] | None:
        """Give a new task that others may wait for already its level; returns the circle that it would close, each depending
        on the next, or None."""
        if entry.task_id in entry.dependencies:
            return [entry.task_id, entry.task_id]
        sources = self._before(entry)
        if next(self._after(entry), None) is None:
            # Nobody waits for it, so there is no way back to it.
            for source in sources:
                if source.level > entry.level:
                    entry.level = source.level
            return None
        for source in sources:
            circle = self.link(source, entry)
            if circle is not None:
                return circle
        return None

    def link(self, source: Entry, target: Entry) -> list[str] | None:
        """``target`` is to wait for ``source``; returns the circle that this would close, and has then changed nothing."""
        if source.level < target.level:
            return None
        behind, settled = self._look_back(source, target)
        if target in behind:
            return _circle(behind[target], behind, target, [])
        if settled and source.level == target.level:
            return None
        return self._raise(target, source.level + (not settled), behind if settled else {source: target})

    def _look_back(self, source: Entry, target: Entry) -> tuple[dict[Entry, Entry], bool]:
        """What ``source`` waits for on its level, each with the one that waits for it; and whether that is all."""
        behind = {source: target}
        pending = [source]
        steps = 0
        while pending:
            waiting = pending.pop()
            for needed in self._before(waiting):
                steps += 1
                if steps > STEPS:
                    return behind, False
                if needed.level == source.level and needed not in behind:
                    behind[needed] = waiting
                    if needed is target:
                        return behind, True
                    pending.append(needed)
        return behind, True

    def _raise(self, target: Entry, level: int, behind: dict[Entry, Entry]) -> list[str] | None:
        """Raise ``target``, and with it who waits for it; a circle is closed when that leads to what is ``behind``."""
        before: list[tuple[Entry, int]] = [(target, target.level)]
        through: dict[Entry, Entry] = {}
        target.level = level
        pending = [target]
        while pending:
            needed = pending.pop()
            for waiting in self._after(needed):
                if waiting in behind:
                    for entry, old in before:
                        entry.level = old
                    way = [needed]
                    while way[-1] is not target:
                        way.append(through[way[-1]])
                    return _circle(waiting, behind, target, way[:-1])
                if waiting.level < level:
                    before.append((waiting, waiting.level))
                    waiting.level = level
                    through[waiting] = needed
                    pending.append(waiting)
        return None

    def _before(self, entry: Entry) -> list[Entry]:
        """What an open task waits for."""
        entries = self._entries
        found = []
        for task_id in entry.dependencies:
            needed = entries.get(task_id)
            if needed is not None and needed.status not in FINAL:
                found.append(needed)
        rare = entry.rare
        if rare is not NOTHING_RARE:
            found += [other for other in (rare.leader, rare.stand_in) if other is not None and not other.final]
        return found

    def _after(self, entry: Entry) -> Iterator[Entry]:
        """Who waits for an open task."""
        for waiting in entry.dependents or ():
            if waiting.status not in FINAL:
                yield waiting
        rare = entry.rare
        for waiting in rare.followers:
            if not waiting.final:
                yield waiting
        if rare.stand_in_for is not None and not rare.stand_in_for.final:
            yield rare.stand_in_for


def _circle(found: Entry, behind: dict[Entry, Entry], target: Entry, way: list[Entry]) -> list[str]:
    """``target`` depends on what ``behind`` leads back from, down to ``found``, which depends by ``way`` on ``target``."""
    chain = [found]
    while behind[chain[-1]] is not target:
        chain.append(behind[chain[-1]])
    return [target.task_id, *(entry.task_id for entry in reversed(chain)), *(entry.task_id for entry in way), target.task_id]
