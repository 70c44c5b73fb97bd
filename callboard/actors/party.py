"""Whom a client has to do with: the way to its manager, and who takes what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from callboard.messages.task import Submission

if TYPE_CHECKING:
    from callboard.actors.handle import Outcome


class Link(Protocol):
    """The way to a manager."""

    def submit(self, submission: Submission) -> None:
        """Send a task; its outcome comes to the client's `deliver`. Never blocks."""
        ...

    def submit_asking(self, submission: Submission) -> None:
        """Send a task and wait until it is accepted; raises why it was not."""
        ...

    def ask(self, what: str, arguments: dict[str, Any]) -> Any:
        """Ask the manager something and wait for the answer."""
        ...

    def say(self, topic: str, data: dict[str, Any]) -> None:
        """Publish an event."""
        ...


class Sink(Protocol):
    """Has the outcomes of many tasks. Called in the delivering thread: must not block."""

    def wake(self) -> None:
        """Some have ended; once for all that ended together."""
        ...


class Taker(Protocol):
    """Takes the outcome of a task in place of a handle."""

    def keep(self, outcome: Outcome) -> Sink:
        """It has ended; returns who is to be woken. Called in the delivering thread: must not block."""
        ...
