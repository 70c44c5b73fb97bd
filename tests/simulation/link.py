"""A peer's connection to the manager: in order each way, delayed at random, and cut at will."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from tests.simulation.clock import Clock


class Link:
    """What is under way when the link is cut is lost, and nobody is told. What a peer says while it is cut waits in its
    socket and arrives late, before the hello. Links know nothing of each other's order."""

    def __init__(self, clock: Clock, random: Random, delay: float) -> None:
        self._clock = clock
        self._random = random
        self._delay = delay
        self._generation = 0
        self._last = [0.0, 0.0]
        self._waiting: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self.up = False
        self.snap: Callable[[], None] | None = None
        """Called, once, when the peer says the next thing, which is lost."""

    def send(self, outward: bool, deliver: Callable[..., None], *arguments: Any) -> None:
        """Have ``deliver`` called at the other end, if the link holds until then."""
        if not self.up:
            if not outward:
                self._waiting.append((deliver, arguments))
            return
        if self.snap is not None and not outward:
            snap, self.snap = self.snap, None
            snap()
            return
        now = self._clock.now
        arrival = max(self._last[outward], now + self._random.random() * self._delay)
        self._last[outward] = arrival
        self._clock.after(arrival - now, self._arrive, self._generation, deliver, arguments)

    def _arrive(self, generation: int, deliver: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        if generation == self._generation:
            deliver(*arguments)

    def cut(self) -> None:
        """Lose what is under way."""
        self.up = False
        self._generation += 1

    def restore(self) -> None:
        """Let through what is sent from now on, and what waited for it."""
        self.up = True
        self._generation += 1
        waiting, self._waiting = self._waiting, []
        for deliver, arguments in waiting:
            self.send(False, deliver, *arguments)
