"""What is remembered of ended tasks that no open one depends on: a row of plain values each, in the order of their ends.

A record has two dozen fields, and the garbage collector walks through it again and again for as long as it is kept. A tuple of
nothing but texts and numbers it lets be; and the record's memory, which the processor still has at hand, goes to the next task.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from callboard.actors.dispatch.entry import NOTHING_RARE, Category, Entry
from callboard.messages.codec import Packed, size_of
from callboard.messages.status import TaskStatus
from callboard.messages.task import Submission

Row = tuple[str, int, int, str, str, Packed | None, str | None, str | None, int, int]
"""Id, when it came, the number of the category, name, status, output, error, the worker's name, attempts, microseconds."""
_ID: Final = 0
_CAME: Final = 1
_NUMBER: Final = 2
_OUTPUT: Final = 5

SHELF = 500
"""So many rows are let go of together."""
SHELVES = 4
"""So many shelves, beyond as many as come, are let go of in one step, so that none is long where the bound was halved."""
SPARE_PLACES = 1000
"""How many rows that were recalled may be on the shelves, beyond as many as there are others."""
GRAINS = 16
"""How finely the age of a row is told, in parts of the least bound."""
MAX_FACTOR = 8
"""How many times as much is remembered where tasks depend on old ones."""


class Whole(NamedTuple):
    """A record that is kept as it is; each time that it is archived in another one of these."""

    entry: Entry
    came: int


Shelf = list[Row | Whole]


class Archive:
    """Rows, the first to have ended first. Bounded by number, and their outputs by bytes.

    Both bounds are doubled, up to `MAX_FACTOR`, when what is older than half of what is remembered is depended on: a large graph
    that is submitted while it runs does so all the time. They are halved when that has not happened for long.
    What has something `Rare` is kept as it is: others may hold its record. Nothing is ever looked for where tasks neither depend
    on what has ended nor are given ids, so that the index is made when something is.
    """

    def __init__(self, history: int, kept_bytes: int) -> None:
        self.categories: dict[int, Category] = {}
        """By number, all that a row may name."""
        self._shelves: deque[Shelf] = deque([[]])
        self._index: dict[str, Row | Whole] | None = None  # what is not in it has been recalled
        self._least = history, kept_bytes
        self._shelf = max(1, min(SHELF, history // 8))
        self._grain = max(1, history // GRAINS)
        self._remember(1)
        self._light = kept_bytes // history  # all outputs of up to this size may be kept, and are not counted
        self._heavy: deque[tuple[Shelf, int]] = deque()  # the places of larger ones, in order
        self._bytes = 0
        self._count = 0
        self._added = 0
        self._stretched = 0  # how many had been added when the bounds were last found too narrow

    def __len__(self) -> int:
        return len(self._indexed())

    def __iter__(self) -> Iterator[str]:
        """The ids of all that is remembered."""
        return iter(self._indexed())

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._indexed()

    def add(self, ended: Sequence[Entry]) -> None:
        """Remember these, and let go of what is over the bounds: outputs, then rows, the oldest first."""
        index, shelf = self._index, self._shelf_with_room()
        self._added += len(ended)
        self._count += len(ended)
        came = self._added // self._grain
        for entry in ended:
            output = entry.output
            if entry.rare is not NOTHING_RARE:
                row: Row | Whole = Whole(entry, came)
            else:
                row = (
                    entry.task_id,
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
            if index is not None:
                self._enter(index, row)
            if output is not None and size_of(output) > self._light:
                self._weigh(shelf, output)
            shelf.append(row)
        if self._bytes > self.kept_bytes:
            self._release()
        for _ in range(len(ended) // self._shelf + SHELVES):
            if (self._count if index is None else len(index)) - len(self._shelves[0]) < self.history:
                break
            self._forget()
        if index is not None and self._count > 2 * len(index) + SPARE_PLACES:
            self._compact()

    def find(self, task_id: str) -> Entry | None:
        """The record of a task as it ended, or None when it is not (any more) here."""
        row = self._indexed().get(task_id)
        return None if row is None else self._record(row)

    def recall(self, task_id: str) -> Entry | None:
        """The same, for somebody who depends on it: it is remembered no longer."""
        row = self._indexed().pop(task_id, None)
        if row is None:
            return None
        self._uncount(row)
        age = self._added - (row.came if isinstance(row, Whole) else row[_CAME]) * self._grain
        if 2 * age > self.history:
            self._remember(min(MAX_FACTOR, 2 * self._factor))
            self._stretched = self._added
        return self._record(row)

    def keep_categories(self, more: Iterable[Category]) -> None:
        """Forget all categories but these and those that a row names."""
        used = {row[_NUMBER] for row in self._indexed().values() if not isinstance(row, Whole)}
        self.categories = {number: category for number, category in self.categories.items() if number in used}
        self.categories.update((category.number, category) for category in more)

    def _shelf_with_room(self) -> Shelf:
        if len(self._shelves[-1]) >= self._shelf:
            self._shelves.append([])
        return self._shelves[-1]

    def _weigh(self, shelf: Shelf, output: Packed) -> None:
        """The next row of this shelf has an output that counts."""
        self._bytes += size_of(output)
        self._heavy.append((shelf, len(shelf)))

    def _compact(self) -> None:
        # Of what is depended on again and again each time another row has stayed behind.
        rows = [row for shelf in self._shelves for row in shelf if self._here(row)]
        self._shelves, self._heavy = deque([[]]), deque()
        self._bytes, self._count = 0, len(rows)
        for row in rows:
            shelf, output = self._shelf_with_room(), _output(row)
            if output is not None and size_of(output) > self._light:
                self._weigh(shelf, output)
            shelf.append(row)

    def _indexed(self) -> dict[str, Row | Whole]:
        if self._index is None:
            self._index = {}
            for shelf in self._shelves:
                for row in shelf:
                    self._enter(self._index, row)
        return self._index

    def _enter(self, index: dict[str, Row | Whole], row: Row | Whole) -> None:
        former = index.pop(_id(row), None)
        if former is not None:  # of a copy of the same task, which has run as well
            self._uncount(former)
        index[_id(row)] = row

    def _here(self, row: Row | Whole) -> bool:
        return self._index is None or self._index.get(_id(row)) is row

    def _remember(self, factor: int) -> None:
        self._factor = factor
        self.history, self.kept_bytes = (factor * bound for bound in self._least)

    def _uncount(self, row: Row | Whole) -> None:
        output = _output(row)
        if output is not None and size_of(output) > self._light:
            self._bytes -= size_of(output)

    def _record(self, row: Row | Whole) -> Entry:
        if isinstance(row, Whole):
            return row.entry
        task_id, _, number, name, status, output, error, worker_name, attempts, micros = row
        category = self.categories[number]
        entry = Entry(Submission(task_id, name, category.spec, b""), "", category, 0, 0)
        entry.status = TaskStatus(status)
        entry.payload = None
        entry.output, entry.error = output, error
        entry.worker_name, entry.attempts, entry.micros = worker_name, attempts, micros
        return entry

    def _release(self) -> None:
        while self._bytes > self.kept_bytes:
            shelf, place = self._heavy.popleft()
            row = shelf[place]
            if not self._here(row):
                continue
            self._uncount(row)
            if isinstance(row, Whole):
                row.entry.output = None
                continue
            lean = shelf[place] = (*row[:5], None, *row[6:])
            if self._index is not None:
                self._index[row[_ID]] = lean

    def _forget(self) -> None:
        shelf, index, heavy = self._shelves.popleft(), self._index, self._heavy
        self._count -= len(shelf)
        while heavy and heavy[0][0] is shelf:
            row = shelf[heavy.popleft()[1]]
            if self._here(row):
                self._uncount(row)
        if index is not None:
            for row in shelf:
                if index.get(_id(row)) is row:
                    del index[_id(row)]
        if self._factor > 1 and self._added - self._stretched > 2 * self.history:
            self._remember(self._factor // 2)
            self._stretched = self._added


def _id(row: Row | Whole) -> str:
    return row.entry.task_id if isinstance(row, Whole) else row[_ID]


def _output(row: Row | Whole) -> Packed | None:
    return row.entry.output if isinstance(row, Whole) else row[_OUTPUT]
