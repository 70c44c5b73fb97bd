"""Which of a worker's attempts have taken longer than they may. Times are on the monotonic clock, timeouts seconds."""

from __future__ import annotations

from callboard.actors.attempt import Attempt


class Overruns:
    """Watches attempts that have a timeout; one that waits for its turn has all of it left."""

    def __init__(self) -> None:
        self._timed: dict[str, Attempt] = {}

    def watch(self, attempt: Attempt) -> None:
        """The worker has it; without a timeout there is nothing to watch."""
        if attempt.spec.timeout is not None:
            self._timed[attempt.task_id] = attempt

    def leave(self, attempt: Attempt) -> None:
        """The worker has it no longer."""
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
