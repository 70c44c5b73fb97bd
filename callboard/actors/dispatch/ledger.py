"""All tasks by id: what each waits for, who waits for it, and a bounded memory of what has ended."""

from __future__ import annotations

from collections.abc import Sequence

from callboard.actors.dispatch.archive import Archive
from callboard.actors.dispatch.entry import NOTHING_RARE, Entry
from callboard.actors.dispatch.level import Levels
from callboard.actors.dispatch.value import Values
from callboard.messages.errors import DependencyCycle
from callboard.messages.status import FINAL, TaskStatus

COMPLETED = TaskStatus.COMPLETED

HISTORY = 50_000
"""How many ended tasks are remembered with id and status."""
KEPT_BYTES = 64 * 1024 * 1024
"""How much of their outputs is kept for dependents that come late."""


class Ledger:
    """The records of tasks, until they have ended and no open task depends on them. From then on they are remembered by the
    ``archive`` for a long bounded while, and their outputs as long if there is room for them."""

    def __init__(self, history: int = HISTORY, kept_bytes: int = KEPT_BYTES) -> None:
        self.entries: dict[str, Entry] = {}
        self.archive = Archive(history, kept_bytes)
        self.awaited: dict[str, dict[Entry, None]] = {}  # open tasks, by the unknown id that they wait for
        self.open = 0
        self.levels = Levels(self.entries)
        self.values = Values()
        self.history = history
        self._recent: list[Entry] = []
        self._told: list[Entry] = []

    def __contains__(self, task_id: str) -> bool:
        return task_id in self.entries or task_id in self.archive

    def find(self, task_id: str) -> Entry | None:
        """The record of a task, open or ended; None when there is none (any more)."""
        return self.entries.get(task_id) or self.archive.find(task_id)

    def add(self, entry: Entry) -> Entry | None:
        """Enter a new task and count what it waits for; returns a dependency that did not complete, if there is one.

        Raises `DependencyCycle` or `UnknownValue`, and has then not entered it.
        """
        submission = entry.submission
        if submission is not None:
            self.values.use(submission)
        self.entries[entry.task_id] = entry
        waiting = self.awaited.get(entry.task_id) if self.awaited else None
        if waiting:
            entry.dependents = list(waiting)
        if waiting or entry.rare is not NOTHING_RARE or entry.task_id in entry.dependencies:  # others have no way back to them
            circle = self.levels.place(entry)
            if circle is not None:
                del self.entries[entry.task_id]
                if submission is not None:
                    self.values.release(submission)
                raise DependencyCycle(circle)
        self.open += 1
        if waiting:
            del self.awaited[entry.task_id]
        return self._wire(entry) if entry.dependencies else None

    def _wire(self, entry: Entry) -> Entry | None:
        broken = None
        entries = self.entries
        level = entry.level  # see `level`: no lower than what it waits for, which is all there is to it where nobody waits yet
        for task_id in entry.dependencies:
            needed = entries.get(task_id) or self._recall(task_id)
            if needed is None:
                self.awaited.setdefault(task_id, {})[entry] = None
                entry.waiting_for += 1
            elif needed.status not in FINAL:
                entry.waiting_for += 1
                if needed.level > level:
                    level = needed.level
                if needed.dependents is None:
                    needed.dependents = [entry]
                else:
                    needed.dependents.append(entry)
            else:
                needed.users += 1
                if needed.status is not COMPLETED or needed.output is None:
                    broken = broken or needed
        entry.level = level
        return broken

    def _recall(self, task_id: str) -> Entry | None:
        found = self.archive.recall(task_id)
        if found is not None:
            self.entries[task_id] = found
        return found

    def broken(self, entry: Entry) -> Entry | None:
        """A dependency of an open task that has ended and did not complete."""
        known = map(self.entries.get, entry.dependencies)
        return next((needed for needed in known if needed is not None and needed.final and needed.status is not COMPLETED), None)

    def end(self, entry: Entry) -> Sequence[Entry]:
        """An open task has ended: remember it within bounds; returns those that waited for it."""
        self.open -= 1
        entry.payload = None
        if entry.submission is not None:
            self.values.release(entry.submission)
            entry.submission = None
        if entry.dependencies:
            self._unwire(entry)
        if entry.dependents is None:
            self._recent.append(entry)
            return ()
        # One that was skipped a moment ago still has its dependencies, and will take itself from the users as it ends.
        dependents = [dependent for dependent in entry.dependents if dependent.dependencies]
        entry.dependents = None
        entry.users = len(dependents)
        if not dependents:
            self._recent.append(entry)
        return dependents

    def _unwire(self, entry: Entry) -> None:
        entries = self.entries
        for task_id in entry.dependencies:
            needed = entries.get(task_id)
            if needed is None:
                self._await_no_more(task_id, entry)
            elif needed.status in FINAL:
                needed.users -= 1
                if not needed.users:
                    self._recent.append(needed)
        entry.dependencies = ()

    def _await_no_more(self, task_id: str, entry: Entry) -> None:
        waiting = self.awaited[task_id]
        del waiting[entry]
        if not waiting:
            del self.awaited[task_id]

    def tidy(self) -> None:
        """A step is over: archive what nobody needs, but not yet what this step told its clients of."""
        told, self._told, self._recent = self._told, self._recent, []
        entries = self.entries
        ended = []
        for entry in told:
            # Somebody who came late may need it. After that it is told of twice, and may have been recalled in between.
            if not entry.users and entries.get(entry.task_id) is entry:
                del entries[entry.task_id]
                ended.append(entry)
        if ended:
            self.archive.add(ended)

    def unknown_ids(self, entry: Entry) -> list[str]:
        """The ids that a task waits for and that nobody has submitted."""
        return [task_id for task_id in entry.dependencies if task_id not in self.entries]
