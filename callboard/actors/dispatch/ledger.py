"""All tasks by id: what each waits for, who waits for it, and a bounded memory of what has ended."""

from __future__ import annotations

from collections import deque

from callboard.actors.dispatch.entry import Entry
from callboard.messages.codec import size_of

HISTORY = 50_000
"""How many ended tasks are remembered with id and status."""
KEPT_OUTPUTS = 10_000
KEPT_BYTES = 64 * 1024 * 1024
"""How much of their outputs is kept for dependents that come late."""


class Ledger:
    """The records of tasks. An ended task's record stays for a long bounded while, its output for a shorter one."""

    def __init__(self, history: int = HISTORY, kept_outputs: int = KEPT_OUTPUTS, kept_bytes: int = KEPT_BYTES) -> None:
        self.entries: dict[str, Entry] = {}
        self.awaited: dict[str, list[Entry]] = {}  # by the unknown id that they wait for
        self.open = 0
        self._history = history
        self._kept_outputs = kept_outputs
        self._kept_bytes = kept_bytes
        self._ended: deque[Entry] = deque()
        self._outputs: deque[Entry] = deque()
        self._bytes = 0

    def add(self, entry: Entry) -> Entry | None:
        """Enter a new task and count what it waits for; returns a dependency that did not complete, if there is one."""
        self.entries[entry.task_id] = entry
        self.open += 1
        if self.awaited:
            entry.dependents = self.awaited.pop(entry.task_id, None)
            if entry.dependents:
                entry.users += len(entry.dependents)
        submission = entry.submission
        assert submission is not None
        return self._wire(entry, submission.dependencies) if submission.dependencies else None

    def _wire(self, entry: Entry, dependencies: tuple[str, ...]) -> Entry | None:
        broken = None
        for task_id in dependencies:
            dependency = self.entries.get(task_id)
            if dependency is None:
                self.awaited.setdefault(task_id, []).append(entry)
                entry.waiting_for += 1
                continue
            dependency.users += 1
            if not dependency.final:
                if dependency.dependents is None:
                    dependency.dependents = []
                dependency.dependents.append(entry)
                entry.waiting_for += 1
            elif dependency.status != "completed" or dependency.output is None:
                broken = broken or dependency
        return broken

    def cycle(self, task_id: str, dependencies: tuple[str, ...]) -> list[str] | None:
        """The circle that a new task would close, as ids, or None.

        A circle needs somebody who waits for the new id already. The search goes from both ends by turns and stops
        when either is exhausted, so that it costs no more than twice the smaller side: nothing at all for tasks that
        come in the order of their dependencies, or in the reverse of it.
        """
        if task_id in dependencies:
            return [task_id, task_id]
        waiting = self.awaited.get(task_id)
        if not waiting or not dependencies:
            return None
        down: dict[str, str] = {entry.task_id: task_id for entry in waiting}  # who waits for it, and through whom
        up: dict[str, str] = dict.fromkeys(dependencies, task_id)
        down_front, up_front = deque(down), deque(up)
        while down_front and up_front:
            here = down_front.popleft()
            if here in up:
                return _circle(here, down, up, task_id)
            known = self.entries.get(here)
            for dependent in [*((known.dependents if known else None) or ()), *self.awaited.get(here, ())]:
                if dependent.task_id not in down:
                    down[dependent.task_id] = here
                    down_front.append(dependent.task_id)
            here = up_front.popleft()
            if here in down:
                return _circle(here, down, up, task_id)
            known = self.entries.get(here)
            if known and not known.final and known.submission:
                for dependency in known.submission.dependencies:
                    if dependency not in up:
                        up[dependency] = here
                        up_front.append(dependency)
        return None

    def end(self, entry: Entry) -> list[Entry]:
        """An open task has ended: remember it within bounds; returns those that waited for it."""
        self.open -= 1
        submission = entry.submission
        entry.submission = None
        if submission is not None and submission.dependencies:
            for task_id in submission.dependencies:
                dependency = self.entries.get(task_id)
                if dependency is not None:
                    dependency.users -= 1
        self._ended.append(entry)
        if entry.output is not None:
            self._outputs.append(entry)
            self._bytes += size_of(entry.output)
            if self._bytes > self._kept_bytes or len(self._outputs) > self._kept_outputs:
                self._release()
        if len(self._ended) > self._history:
            self._forget()
        dependents = entry.dependents
        entry.dependents = None
        return dependents or []

    def _release(self) -> None:
        # What open tasks still need goes to the end of the row. A few looks a time, so that a row of nothing else
        # (a large fan-in) does not cost a walk at each end.
        for _ in range(4):
            if not self._outputs or (self._bytes <= self._kept_bytes and len(self._outputs) <= self._kept_outputs):
                return
            oldest = self._outputs.popleft()
            if oldest.users > 0:
                self._outputs.append(oldest)
                continue
            assert oldest.output is not None
            self._bytes -= size_of(oldest.output)
            oldest.output = None

    def _forget(self) -> None:
        oldest = self._ended.popleft()
        if oldest.users > 0 or oldest.output is not None:
            self._ended.append(oldest)
            return
        if self.entries.get(oldest.task_id) is oldest:
            del self.entries[oldest.task_id]

    def unknown_ids(self, entry: Entry) -> list[str]:
        """The ids that a task waits for and that nobody has submitted."""
        assert entry.submission is not None
        return [task_id for task_id in entry.submission.dependencies if task_id not in self.entries]


def _circle(meeting: str, down: dict[str, str], up: dict[str, str], start: str) -> list[str]:
    there, here = [meeting], meeting
    while here != start:
        here = down[here]
        there.append(here)
    back, here = [], meeting
    while here != start:
        here = up[here]
        back.append(here)
    # Read as "depends on": start depends on ... meeting ... which depends on start.
    return [*reversed(back), *there]
