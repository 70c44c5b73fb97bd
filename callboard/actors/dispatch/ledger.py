"""All tasks by id: what each waits for, who waits for it, and a bounded memory of what has ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from callboard.actors.dispatch.entry import NO_NEEDS, Entry
from callboard.actors.dispatch.level import Levels
from callboard.actors.dispatch.value import Values
from callboard.messages.codec import size_of
from callboard.messages.errors import DependencyCycle
from callboard.messages.status import FINAL, TaskStatus

COMPLETED = TaskStatus.COMPLETED

HISTORY = 50_000
"""How many ended tasks are remembered with id and status."""
KEPT_OUTPUTS = 10_000
KEPT_BYTES = 64 * 1024 * 1024
"""How much of their outputs is kept for dependents that come late."""
LOOKS = 4
"""How many of the oldest are looked at for each that ends: what is still needed goes to the end of the row, and a row
of nothing else (a large fan-in) must not cost a walk each time."""


class Ledger:
    """The records of tasks. An ended task's record stays for a long bounded while, its output for a shorter one."""

    def __init__(self, history: int = HISTORY, kept_outputs: int = KEPT_OUTPUTS, kept_bytes: int = KEPT_BYTES) -> None:
        self.entries: dict[str, Entry] = {}
        self.awaited: dict[str, dict[Entry, None]] = {}  # open tasks, by the unknown id that they wait for
        self.open = 0
        self.levels = Levels()
        self.values = Values()
        self.history = history
        self._kept_outputs = kept_outputs
        self._kept_bytes = kept_bytes
        self._recent: list[Entry] = []
        self._told: list[Entry] = []
        self._ended: deque[Entry] = deque()
        self._outputs: deque[Entry] = deque()
        self._bytes = 0

    def add(self, entry: Entry) -> Entry | None:
        """Enter a new task and count what it waits for; returns a dependency that did not complete, if there is one.

        Raises `DependencyCycle` or `UnknownValue`, and has then not entered it.
        """
        submission = entry.submission
        unknown: Sequence[str] = ()
        if submission is not None:
            self.values.use(submission)
            if submission.dependencies:
                unknown = self._find(entry, submission.dependencies)
        waiting = self.awaited.get(entry.task_id) if self.awaited else None
        if waiting:
            entry.dependents = list(waiting)
            for dependent in waiting:
                dependent.needs.append(entry)
        if submission is not None and (submission.dependencies or entry.rare.leader is not None):
            circle = self.levels.place(entry)
            if circle is not None:
                for dependent in waiting or ():
                    dependent.needs.pop()
                self.values.release(submission)
                raise DependencyCycle(circle)
        self.entries[entry.task_id] = entry
        self.open += 1
        if waiting:
            del self.awaited[entry.task_id]
            entry.users = len(waiting)
        return self._wire(entry, unknown) if unknown or entry.needs else None

    def _find(self, entry: Entry, dependencies: tuple[str, ...]) -> list[str]:
        """Look up what the task needs, once; returns the ids of what is not here yet."""
        entries = self.entries
        needs: list[Entry] = []
        unknown: list[str] = []
        for task_id in dependencies if len(dependencies) == 1 else dict.fromkeys(dependencies):
            needed = entries.get(task_id)
            if needed is None:
                unknown.append(task_id)
            else:
                needs.append(needed)
        entry.needs = needs
        return unknown

    def _wire(self, entry: Entry, unknown: Sequence[str]) -> Entry | None:
        broken = None
        for task_id in unknown:
            self.awaited.setdefault(task_id, {})[entry] = None
        entry.waiting_for = len(unknown)
        for needed in entry.needs:
            needed.users += 1
            if needed.status not in FINAL:
                entry.waiting_for += 1
                if needed.dependents is None:
                    needed.dependents = [entry]
                else:
                    needed.dependents.append(entry)
            elif needed.status is not COMPLETED or needed.output is None:
                broken = broken or needed
        return broken

    def broken(self, entry: Entry) -> Entry | None:
        """A dependency of an open task that has ended and did not complete."""
        return next((needed for needed in entry.needs if needed.final and needed.status is not COMPLETED), None)

    def end(self, entry: Entry) -> Sequence[Entry]:
        """An open task has ended: remember it within bounds; returns those that waited for it."""
        self.open -= 1
        submission = entry.submission
        entry.submission = entry.payload = None
        if submission is not None:
            self._unwire(entry, submission.dependencies)
            self.values.release(submission)
        self._recent.append(entry)
        dependents = entry.dependents
        entry.dependents = None
        return dependents or ()

    def _unwire(self, entry: Entry, dependencies: tuple[str, ...]) -> None:
        for needed in entry.needs:
            needed.users -= 1
        if len(entry.needs) < len(dependencies):
            for task_id in dependencies:
                waiting = self.awaited.get(task_id)
                if waiting is not None and waiting.pop(entry, entry) is None and not waiting:
                    del self.awaited[task_id]
        entry.needs = NO_NEEDS

    def tidy(self) -> None:
        """A step is over: let go of what is beyond the bounds, but not yet of what this step told its clients."""
        told, self._told, self._recent = self._told, self._recent, []
        if not told:
            return
        self._ended += told
        for entry in told:
            if entry.output is not None:
                self._outputs.append(entry)
                self._bytes += size_of(entry.output)
        self._release(LOOKS * len(told))
        self._forget(LOOKS * len(told))

    def _release(self, looks: int) -> None:
        for _ in range(looks):
            if not self._outputs or (self._bytes <= self._kept_bytes and len(self._outputs) <= self._kept_outputs):
                return
            oldest = self._outputs.popleft()
            if oldest.users > 0:
                self._outputs.append(oldest)
                continue
            assert oldest.output is not None
            self._bytes -= size_of(oldest.output)
            oldest.output = None

    def _forget(self, looks: int) -> None:
        for _ in range(looks):
            if len(self._ended) <= self.history:
                return
            oldest = self._ended.popleft()
            if oldest.users > 0 or oldest.output is not None:
                self._ended.append(oldest)
            else:
                del self.entries[oldest.task_id]

    def unknown_ids(self, entry: Entry) -> list[str]:
        """The ids that a task waits for and that nobody has submitted."""
        return [task_id for task_id in entry.dependencies if task_id not in self.entries]
