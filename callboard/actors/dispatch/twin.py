"""Tasks of one idempotency key: the first runs, the others get its outcome."""

from __future__ import annotations

from collections import OrderedDict

from callboard.actors.dispatch.entry import Entry
from callboard.messages.status import TaskStatus

COMPLETED = TaskStatus.COMPLETED


class Twins:
    """Who leads under each key. Ended leaders are remembered for as long as ended tasks are."""

    def __init__(self, history: int) -> None:
        self._history = history
        self._leaders: OrderedDict[str, Entry] = OrderedDict()

    def leader(self, key: str) -> Entry | None:
        """The task whose outcome answers for the key: one that is open, or one that completed and whose output is there."""
        found = self._leaders.get(key)
        if found is not None and found.final and (found.status is not COMPLETED or found.output is None):
            return None
        return found

    def lead(self, key: str, entry: Entry) -> None:
        """From now on this task leads."""
        entry.own_rare()  # so that the archive keeps this very record, and lets go of its output only
        self._leaders[key] = entry
        self._leaders.move_to_end(key)
        for _ in range(min(2, len(self._leaders) - self._history)):
            oldest, leader = self._leaders.popitem(last=False)
            if not leader.final:
                self._leaders[oldest] = leader
