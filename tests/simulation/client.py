"""Who submits: keeps what has no outcome, and says it again after a reconnect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from callboard.actors.greeting import Greeting
from callboard.actors.sequence import Heard, Verdict
from callboard.messages.task import Submission
from tests.simulation.invariant import demand
from tests.simulation.link import Link
from tests.simulation.manager import Outcome

if TYPE_CHECKING:
    from tests.simulation.world import World


class Submitter:
    """A client's side of the conversation, which a worker has as well."""

    local = False

    def __init__(self, world: World, identity: str) -> None:
        self.world = world
        self.identity = identity
        self.link = Link(world.clock, world.random, world.delay)
        self.open: dict[str, Submission] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.greeting = Greeting()
        self._deliveries = Heard()

    def _say(self, kind: str, *body: Any) -> None:
        self.link.send(False, self.world.hear, self, kind, *body)

    def hear(self, kind: str, *body: Any) -> None:
        """The manager says something."""
        raise NotImplementedError

    def connected(self) -> None:
        """The link is there (again)."""
        self._hello()

    def _hello(self) -> None:
        raise NotImplementedError

    def greet(self) -> None:
        """Say hello, unless one is under way."""
        if not self.greeting.under_way:
            self._hello()

    def submit(self, submissions: list[Submission]) -> None:
        """Submit tasks."""
        self.open.update((submission.task_id, submission) for submission in submissions)
        if self.greeting.answered:
            self._say("submit", submissions, False)

    def rejoined(self, settled: int) -> None:
        """A manager has taken us in; deliveries up to ``settled`` do not come any more."""
        self._deliveries = Heard(settled)
        if self.open:
            self._say("submit", list(self.open.values()), True)

    def take_delivery(self, number: int, outcomes: list[Outcome]) -> None:
        """Tasks have ended."""
        if self.greeting.answered and self._deliveries.take(number) is not Verdict.GAP:
            self._say("ack", self._deliveries.upto)
        for outcome in outcomes:
            if self.open.pop(outcome.task_id, None) is not None:
                demand(outcome.task_id not in self.outcomes, f"{outcome.task_id} has two outcomes")
                self.outcomes[outcome.task_id] = outcome


class Client(Submitter):
    """A client that never dies."""

    _epoch: int | None = None

    def _hello(self) -> None:
        self.greeting.said(self.world.clock.now)
        self._say("hello", self.greeting.number, None, [], self._epoch, False, 0)

    def hear(self, kind: str, *body: Any) -> None:
        if kind == "welcome":
            answers, epoch, settled = body
            if self.greeting.welcomed(answers):
                self._epoch = epoch
                self.rejoined(settled)
        elif kind == "rejoin":
            self.greet()
        elif kind == "deliver":
            self.take_delivery(*body)

    def cancel(self, ids: list[str], force: bool) -> None:
        """Cancel tasks."""
        self._say("cancel", ids, force)
