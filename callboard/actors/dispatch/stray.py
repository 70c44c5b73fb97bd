"""What workers run, or have ended, of an earlier manager's tasks, until their clients submit them here."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from callboard.messages.codec import Packed, size_of
from callboard.messages.wire import Report

T = TypeVar("T")

MAX_STRAYS = 100_000
MAX_BYTES = 256 * 1024 * 1024


class Orphan(NamedTuple):
    """An attempt that ended before its task was submitted: a report of one row."""

    worker_name: str
    report: Report
    output: Packed


class Strays:
    """Attempts by task id, the oldest let go when there are too many."""

    def __init__(self) -> None:
        self.running: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self.orphans: OrderedDict[str, Orphan] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.running) + len(self.orphans)

    def runs(self, task_id: str, worker_id: str, fence: int) -> None:
        """A worker has this attempt."""
        self.running[task_id] = worker_id, fence
        if len(self.running) > MAX_STRAYS:
            self.running.popitem(last=False)

    def runner(self, task_id: str) -> tuple[str, int] | None:
        """Who has an attempt of the task, which is then no longer a stray."""
        return self.running.pop(task_id, None)

    def gone(self, task_id: str, worker_id: str) -> bool:
        """The worker no longer has the attempt; whether it was a stray."""
        if task_id in self.running and self.running[task_id][0] == worker_id:
            del self.running[task_id]
            return True
        return False

    def ended(self, worker_name: str, report: Report, row: int, output: Packed) -> None:
        """An attempt has ended that nobody here has asked for yet."""
        task_id = report.ids[row]
        single = Report(
            epoch=report.epoch,
            number=report.number,
            ids=[task_id],
            fences=[report.fences[row]],
            endings=[report.endings[row]],
            micros=[report.micros[row]],
            errors=_first(report.errors, row),
            failures=_first(report.failures, row),
            again=_first(report.again, row),
        )
        self.orphans[task_id] = Orphan(worker_name, single, output)
        self._bytes += size_of(output)
        while len(self.orphans) > MAX_STRAYS or self._bytes > MAX_BYTES:
            self._bytes -= size_of(self.orphans.popitem(last=False)[1].output)

    def result(self, task_id: str) -> Orphan | None:
        """How an attempt of the task ended, which is then no longer an orphan."""
        orphan = self.orphans.pop(task_id, None)
        if orphan is not None:
            self._bytes -= size_of(orphan.output)
        return orphan


def _first(column: Mapping[int, T] | None, row: int) -> dict[int, T]:
    return {0: column[row]} if column and row in column else {}
