"""Who submits: keeps what has no outcome, and says it again after a reconnect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
        self._delivered = 0

    def _say(self, kind: str, *body: Any) -> None:
        self.link.send(False, self.world.hear, self, kind, *body)

    def hear(self, kind: str, *body: Any) -> None:
        """The manager says something."""
        raise NotImplementedError

    def connected(self) -> None:
        """The link is there (again)."""
        raise NotImplementedError

    def submit(self, submissions: list[Submission]) -> None:
        """Submit tasks."""
        self.open.update((submission.task_id, submission) for submission in submissions)
        self._say("submit", submissions, False)

    def rejoined(self) -> None:
        """A manager has taken us in; one that had given us up counts its deliveries anew."""
        self._delivered = 0
        if self.open:
            self._say("submit", list(self.open.values()), True)

    def take_delivery(self, number: int, outcomes: list[Outcome]) -> None:
        """Tasks have ended."""
        self._say("ack", number)
        if number <= self._delivered:
            return
        self._delivered = number
        for outcome in outcomes:
            if self.open.pop(outcome.task_id, None) is not None:
                demand(outcome.task_id not in self.outcomes, f"{outcome.task_id} has two outcomes")
                self.outcomes[outcome.task_id] = outcome


class Client(Submitter):
    """A client that never dies."""

    def connected(self) -> None:
        self._say("hello", 0, None, [], None, False, 0)

    def hear(self, kind: str, *body: Any) -> None:
        if kind == "welcome":
            self.rejoined()
        elif kind == "rejoin":
            self.connected()
        elif kind == "deliver":
            self.take_delivery(*body)

    def cancel(self, ids: list[str], force: bool) -> None:
        """Cancel tasks."""
        self._say("cancel", ids, force)
