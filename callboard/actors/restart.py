"""When a local worker that died is started again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class RestartBudget:
    """One worker's restarts: at most ``limit`` within ``window`` seconds, each wait twice the last, up to ``slowest``.

    The first restart comes at once, since most deaths are a task's fault, which the task pays for itself.
    """

    limit: int = 20
    window: float = 60.0
    slowest: float = 5.0
    _deaths: deque[float] = field(default_factory=deque)

    def died(self, now: float) -> float | None:
        """Seconds to wait before starting again, or None when the budget is spent."""
        self._deaths.append(now)
        while self._deaths and self._deaths[0] <= now - self.window:
            self._deaths.popleft()
        count = len(self._deaths)
        if count > self.limit:
            return None
        return 0.0 if count <= 3 else min(self.slowest, 0.05 * 2.0 ** (count - 4))
