"""The aggregator that fan-outs fold into."""

from __future__ import annotations

from callboard import Aggregator, TaskResult


class Sum(Aggregator):
    """Adds the outputs up as they come."""

    def __init__(self) -> None:
        self.total = 0

    def add(self, result: TaskResult) -> None:
        self.total += result.output

    def finish(self) -> int:
        return self.total
