"""The circuit breakers of tasks: one circuit a key, across all workers."""

from __future__ import annotations

from collections.abc import Callable

from callboard.actors.dispatch.command import Notice
from callboard.actors.dispatch.entry import Entry
from callboard.messages.spec import BreakerNumbers
from callboard.resilience.circuit import Circuit, Transition

Tell = Callable[[Notice, float], None]


class Fuses:
    """Asked before each attempt of a task with a breaker, and told how it went. Transitions are published."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._circuits: dict[str, Circuit] = {}

    def admit(self, entry: Entry, now: float) -> bool:
        """Whether the task's circuit lets an attempt through, which then counts as begun."""
        circuit = self._circuit(entry)
        before = circuit.state
        allowed = circuit.allow(now)
        if circuit.state is not before:
            self._publish(entry, (before, circuit.state), now)
        return allowed

    def succeeded(self, entry: Entry, now: float) -> None:
        """The attempt succeeded."""
        self._publish(entry, self._circuit(entry).succeeded(now), now)

    def failed(self, entry: Entry, now: float) -> None:
        """The attempt failed."""
        self._publish(entry, self._circuit(entry).failed(now), now)

    def abandoned(self, entry: Entry, now: float) -> None:
        """The attempt was cut short by no fault of its own: it proves nothing."""
        self._publish(entry, self._circuit(entry).abandoned(now), now)

    def _circuit(self, entry: Entry) -> Circuit:
        spec = entry.category.spec
        assert spec.breaker_key is not None
        found = self._circuits.get(spec.breaker_key)
        if found is None:
            found = self._circuits[spec.breaker_key] = Circuit(spec.breaker or BreakerNumbers())
        return found

    def _publish(self, entry: Entry, transition: Transition | None, now: float) -> None:
        if transition is not None:
            self._tell(Notice(f"circuit.{transition[1].value}", name=entry.category.breaker_key, data={"task": entry.name}), now)
