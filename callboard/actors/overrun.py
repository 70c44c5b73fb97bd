"""Which of a worker's attempts have taken longer than they may. Times are on the monotonic clock, timeouts seconds."""

from __future__ import annotations

from collections.abc import Iterable

from callboard.actors.attempt import Attempt


class Overruns:
    """Watches attempts that have a timeout; one that waits for its turn has all of it left."""

    def __init__(self) -> None:
        self._timed: dict[str, Attempt] = {}

    def watch(self, attempts: Iterable[Attempt]) -> None:
        """The worker has these; without a timeout there is nothing to watch."""
        for attempt in attempts:
            if attempt.spec.timeout is not None:
                self._timed[attempt.task_id] = attempt

    def leave(self, attempts: Iterable[Attempt]) -> None:
        """The worker has them no longer."""
        if self._timed:
            for attempt in attempts:
                self._timed.pop(attempt.task_id, None)

    def next(self, now: float) -> float | None:
        """When the next may be over its time, at the earliest; None when none can."""
        if not self._timed:
            return None
        return min(
            ((attempt.started or now) + _allowed(attempt) for attempt in self._timed.values() if not attempt.abandoned), default=None
        )

    def due(self, now: float) -> list[Attempt]:
        """Those that are over their time and were not given up yet."""
        if not self._timed:
            return []
        return [
            attempt
            for attempt in self._timed.values()
            if attempt.started is not None and not attempt.abandoned and now >= attempt.started + _allowed(attempt)
        ]


def _allowed(attempt: Attempt) -> float:
    return attempt.spec.timeout or 0.0
