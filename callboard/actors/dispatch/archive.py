"""What is remembered of ended tasks that no open one depends on: a row of plain values each, in the order of their ends.

A record has two dozen fields, and the garbage collector walks through it again and again for as long as it is kept. A tuple of
nothing but texts and numbers it lets be; and the record's memory, which the processor still has at hand, goes to the next task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from callboard.actors.dispatch.entry import NOTHING_RARE, Category, Entry
from callboard.messages.codec import Packed, size_of
from callboard.messages.status import TaskStatus
from callboard.messages.task import Submission

Row = tuple[str, int, str, str, Packed | None, str | None, str | None, int, int]
"""Id, number of the category, name, status, output, error, the worker's name, attempts, microseconds."""

SLACK = 500
"""Up to so many rows over the bound are let go of together: the first of a dictionary is found past the places of all that went
before it."""


class Archive:
    """Rows by id, the first to have ended first. Bounded by number, and their outputs by bytes.

    What has something `Rare` is kept as it is: others may hold its record.
    """

    def __init__(self, history: int, kept_bytes: int) -> None:
        self.rows: dict[str, Row | Entry] = {}
        self.categories: dict[int, Category] = {}
        """By number, all that a row may name."""
        self._history = history
        self._slack = min(SLACK, history // 8)
        self._kept_bytes = kept_bytes
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[str]:
        """The ids of all that is remembered."""
        return iter(self.rows)

    def add(self, ended: Iterable[Entry]) -> None:
        """Remember these, and let go of what is over the bounds: outputs, then rows, the oldest first."""
        rows = self.rows
        kept = self._bytes
        for entry in ended:
            task_id, output = entry.task_id, entry.output
            if output is not None:
                kept += size_of(output)
            if entry.rare is not NOTHING_RARE:
                rows[task_id] = entry
                continue
            rows[task_id] = (
                task_id,
                entry.category.number,
                entry.name,
                entry.status._value_,  # ``value`` is two calls of Python
                output,
                entry.error,
                entry.worker_name,
                entry.attempts,
                entry.micros,
            )
        self._bytes = kept
        if kept > self._kept_bytes:
            self._release()
        if len(rows) > self._history + self._slack:
            self._forget()

    def find(self, task_id: str) -> Entry | None:
        """The record of a task as it ended, or None when it is not (any more) here."""
        row = self.rows.get(task_id)
        return row if row is None or isinstance(row, Entry) else self._record(row)

    def take(self, task_id: str) -> Entry | None:
        """The same, and it is remembered no longer."""
        found = self.find(task_id)
        if found is not None:
            del self.rows[task_id]
            self._bytes -= _size(found)
        return found

    def keep_categories(self, more: Iterable[Category]) -> None:
        """Forget all categories but these and those that a row names."""
        used = {row[1] for row in self.rows.values() if not isinstance(row, Entry)}
        self.categories = {number: category for number, category in self.categories.items() if number in used}
        self.categories.update((category.number, category) for category in more)

    def _record(self, row: Row) -> Entry:
        task_id, number, name, status, output, error, worker_name, attempts, micros = row
        category = self.categories[number]
        entry = Entry(Submission(task_id, name, category.spec, b""), "", category, 0, 0)
        entry.status = TaskStatus(status)
        entry.payload = None
        entry.output, entry.error = output, error
        entry.worker_name, entry.attempts, entry.micros = worker_name, attempts, micros
        return entry

    def _release(self) -> None:
        # Half of what may be kept, so that the oldest need not be looked for at every turn.
        for task_id, row in self.rows.items():
            if self._bytes <= self._kept_bytes // 2:
                break
            self._bytes -= _size(row)
            if isinstance(row, Entry):
                row.output = None
            elif row[4] is not None:
                self.rows[task_id] = (*row[:4], None, *row[5:])

    def _forget(self) -> None:
        rows = self.rows
        for task_id in list(islice(rows, len(rows) - self._history)):
            self._bytes -= _size(rows.pop(task_id))


def _size(row: Row | Entry) -> int:
    output = row.output if isinstance(row, Entry) else row[4]
    return 0 if output is None else size_of(output)
