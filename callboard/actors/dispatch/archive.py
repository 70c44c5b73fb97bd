"""What is remembered of ended tasks that no open one depends on: a row of plain values each, in the order of their ends.

A record has two dozen fields, and the garbage collector walks through it again and again for as long as it is kept. A tuple of
nothing but texts and numbers it lets be; and the record's memory, which the processor still has at hand, goes to the next task.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from callboard.actors.dispatch.entry import NOTHING_RARE, Category, Entry
from callboard.messages.codec import Packed, size_of
from callboard.messages.status import TaskStatus
from callboard.messages.task import Submission

Row = tuple[int, int, str, str, Packed | None, str | None, str | None, int, int]
"""When it came, the number of the category, name, status, output, error, the worker's name, attempts, microseconds."""
_CAME: Final = 0
_NUMBER: Final = 1
_OUTPUT: Final = 4

SLACK = 500
"""Up to so many rows over the bound are let go of together: the first of a dictionary is found past the places of all that went
before it."""
GRAINS = 16
"""How finely the age of a row is told, in parts of the least bound."""
MAX_FACTOR = 8
"""How many times as much is remembered where tasks depend on old ones."""


class Archive:
    """Rows by id, the first to have ended first. Bounded by number, and their outputs by bytes.

    Both bounds are doubled, up to `MAX_FACTOR`, when what is older than half of what is remembered is depended on: a large graph
    that is submitted while it runs does so all the time. They are halved when that has not happened for long.
    What has something `Rare` is kept as it is: others may hold its record.
    """

    def __init__(self, history: int, kept_bytes: int) -> None:
        self.rows: dict[str, Row | Entry] = {}
        self.categories: dict[int, Category] = {}
        """By number, all that a row may name."""
        self._least = history, kept_bytes
        self._slack = min(SLACK, history // 8)
        self._grain = max(1, history // GRAINS)
        self._remember(1)
        self._light = kept_bytes // history  # all outputs of up to this size may be kept, and are not counted
        self._heavy: deque[tuple[str, Row | Entry]] = deque()  # what has a larger one, in order; and what had one and is gone
        self._bytes = 0
        self._added = 0
        self._stretched = 0  # how many had been added when the bounds were last found too narrow

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[str]:
        """The ids of all that is remembered."""
        return iter(self.rows)

    def add(self, ended: Sequence[Entry]) -> None:
        """Remember these, and let go of what is over the bounds: outputs, then rows, the oldest first."""
        rows = self.rows
        light = self._light
        self._added += len(ended)
        came = self._added // self._grain
        for entry in ended:
            task_id, output = entry.task_id, entry.output
            row: Row | Entry = entry
            if entry.rare is NOTHING_RARE:
                row = (
                    came,
                    entry.category.number,
                    entry.name,
                    entry.status._value_,  # ``value`` is two calls of Python
                    output,
                    entry.error,
                    entry.worker_name,
                    entry.attempts,
                    entry.micros,
                )
            rows[task_id] = row
            if output is not None and size_of(output) > light:
                self._bytes += size_of(output)
                self._heavy.append((task_id, row))
        if self._bytes > self.kept_bytes:
            self._release()
        if len(rows) > self.history + self._slack:
            self._forget()

    def find(self, task_id: str) -> Entry | None:
        """The record of a task as it ended, or None when it is not (any more) here."""
        row = self.rows.get(task_id)
        return row if row is None or isinstance(row, Entry) else self._record(task_id, row)

    def recall(self, task_id: str) -> Entry | None:
        """The same, for somebody who depends on it: it is remembered no longer."""
        row = self.rows.pop(task_id, None)
        if row is None:
            return None
        self._uncount(row)
        if isinstance(row, Entry):
            return row
        age = self._added - row[_CAME] * self._grain
        if 2 * age > self.history:
            self._remember(min(MAX_FACTOR, 2 * self._factor))
            self._stretched = self._added
        return self._record(task_id, row)

    def keep_categories(self, more: Iterable[Category]) -> None:
        """Forget all categories but these and those that a row names."""
        used = {row[_NUMBER] for row in self.rows.values() if not isinstance(row, Entry)}
        self.categories = {number: category for number, category in self.categories.items() if number in used}
        self.categories.update((category.number, category) for category in more)

    def _remember(self, factor: int) -> None:
        self._factor = factor
        self.history, self.kept_bytes = (factor * bound for bound in self._least)

    def _uncount(self, row: Row | Entry) -> None:
        output = row.output if isinstance(row, Entry) else row[_OUTPUT]
        if output is not None and size_of(output) > self._light:
            self._bytes -= size_of(output)

    def _record(self, task_id: str, row: Row) -> Entry:
        _, number, name, status, output, error, worker_name, attempts, micros = row
        category = self.categories[number]
        entry = Entry(Submission(task_id, name, category.spec, b""), "", category, 0, 0)
        entry.status = TaskStatus(status)
        entry.payload = None
        entry.output, entry.error = output, error
        entry.worker_name, entry.attempts, entry.micros = worker_name, attempts, micros
        return entry

    def _release(self) -> None:
        rows = self.rows
        while self._bytes > self.kept_bytes:
            task_id, row = self._heavy.popleft()
            if rows.get(task_id) is not row:
                continue
            self._uncount(row)
            if isinstance(row, Entry):
                row.output = None
            else:
                rows[task_id] = (*row[:4], None, *row[5:])

    def _forget(self) -> None:
        rows, heavy = self.rows, self._heavy
        # Not all at once where the bound was halved.
        for task_id in list(islice(rows, min(len(rows) - self.history, 4 * SLACK))):
            row = rows.pop(task_id)
            if heavy:
                self._uncount(row)
        while heavy and rows.get(heavy[0][0]) is not heavy[0][1]:
            heavy.popleft()
        if self._factor > 1 and self._added - self._stretched > 2 * self.history:
            self._remember(self._factor // 2)
            self._stretched = self._added
