"""The states of one circuit and what moves it between them, after M. Nygard, Release It!, "Circuit Breaker"."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from callboard.messages.status import check_transition

if TYPE_CHECKING:
    from callboard.messages.spec import BreakerNumbers


class CircuitState(StrEnum):
    """CLOSED lets every call through, OPEN none, HALF_OPEN a few on trial."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


CIRCUIT_TRANSITIONS: Mapping[CircuitState, frozenset[CircuitState]] = {
    CircuitState.CLOSED: frozenset({CircuitState.OPEN}),
    CircuitState.OPEN: frozenset({CircuitState.HALF_OPEN}),
    CircuitState.HALF_OPEN: frozenset({CircuitState.CLOSED, CircuitState.OPEN}),
}

Transition = tuple[CircuitState, CircuitState]
"""The old state and the new one."""


class Circuit:
    """One circuit. It opens after ``failure_threshold`` failures in a row and stays so for ``recovery_seconds``; then
    ``half_open_calls`` calls are let through on trial: if all succeed it closes, with the first that fails it opens again.

    Every call that `allow` let through must be followed by one of `succeeded`, `failed` and `abandoned`. What is heard
    while it is open, of calls from before, changes nothing. ``now`` is seconds on any clock that does not go back.
    Each method returns the transition that it brought about, if any. Not thread-safe.
    """

    __slots__ = ("_failures", "_numbers", "_opened_at", "_passed", "_trials", "state")

    def __init__(self, numbers: BreakerNumbers) -> None:
        self._numbers = numbers
        self._failures = 0
        self._opened_at = 0.0
        self._trials = 0
        self._passed = 0
        self.state = CircuitState.CLOSED

    @property
    def retry_at(self) -> float | None:
        """When an open circuit will let a call through on trial; None where it is not open."""
        return self._opened_at + self._numbers.recovery_seconds if self.state is CircuitState.OPEN else None

    def wake(self, now: float) -> Transition | None:
        """Let an open circuit whose time has come be half-open. `allow` does so too; this is for who wants to be told."""
        retry_at = self.retry_at
        if retry_at is None or now < retry_at:
            return None
        self._trials = self._passed = 0
        return self._go(CircuitState.HALF_OPEN)

    def allow(self, now: float) -> bool:
        """Whether a call may be made now; if so, it counts as begun."""
        self.wake(now)
        if self.state is CircuitState.HALF_OPEN:
            if self._trials + self._passed >= self._numbers.half_open_calls:
                return False
            self._trials += 1
        return self.state is not CircuitState.OPEN

    def succeeded(self, now: float) -> Transition | None:
        """A call succeeded."""
        if self.state is CircuitState.CLOSED:
            self._failures = 0
        elif self.state is CircuitState.HALF_OPEN:
            self._trials = max(0, self._trials - 1)
            self._passed += 1
            if self._passed >= self._numbers.half_open_calls:
                self._failures = 0
                return self._go(CircuitState.CLOSED)
        return None

    def failed(self, now: float) -> Transition | None:
        """A call failed."""
        if self.state is CircuitState.OPEN:
            return None
        self._failures += 1
        if self.state is CircuitState.CLOSED and self._failures < self._numbers.failure_threshold:
            return None
        self._opened_at = now
        return self._go(CircuitState.OPEN)

    def abandoned(self, now: float) -> Transition | None:
        """A call ended without telling anything: it was cancelled, or its worker was lost. A trial may be made again."""
        if self.state is CircuitState.HALF_OPEN:
            self._trials = max(0, self._trials - 1)
        return None

    def _go(self, new: CircuitState) -> Transition:
        old = self.state
        check_transition(CIRCUIT_TRANSITIONS, old, new, "a circuit")
        self.state = new
        return old, new
