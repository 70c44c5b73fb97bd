"""What the dispatcher wants done. Values in the imperative; the manager's shell carries them out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from callboard.actors.dispatch.entry import Entry
from callboard.messages.codec import Packed
from callboard.messages.failure import Failure
from callboard.messages.status import TaskStatus

_NO_DATA: dict[str, Any] = {}


class Assign(NamedTuple):
    """Send these tasks to their workers, to each in this order. One for all the workers of a step, of which there may be thousands."""

    by_worker: dict[str, list[Entry]]


class Recall(NamedTuple):
    """Ask a worker to hand back what it has not begun of these."""

    worker_id: str
    ids: list[str]


class Halt(NamedTuple):
    """Ask a worker to stop these attempts."""

    worker_id: str
    ids: list[str]
    force: bool


class Kill(NamedTuple):
    """End a worker that does not answer: by signal where it is a local child, by forgetting it where it is not."""

    worker_id: str
    reason: str


@dataclass(slots=True)
class Retold:
    """How a task ended, once more for a client that asks again; its entry may let go of the output meanwhile."""

    task_id: str
    name: str
    status: TaskStatus
    output: Packed | None
    error: str | None
    failure: Failure | None
    worker_name: str | None
    attempts: int
    micros: int


class Deliver(NamedTuple):
    """Tell a client how these tasks ended."""

    client: str
    entries: list[Entry | Retold]


class Notice(NamedTuple):
    """Something to publish; ``rich`` is a pickled mapping of what plain values cannot say."""

    topic: str
    task_id: str | None = None
    name: str | None = None
    worker: str | None = None
    data: dict[str, Any] = _NO_DATA
    rich: Packed | None = None
    time: float | None = None


class Publish(NamedTuple):
    """Publish these, in this order."""

    notices: list[Notice]


class Forget(NamedTuple):
    """Have workers let go of these shared values."""

    ids: list[str]


class Warn(NamedTuple):
    """Write a line to the log."""

    text: str


Command = Assign | Recall | Halt | Kill | Deliver | Publish | Forget | Warn


@dataclass(slots=True)
class Outbox:
    """Commands as they gather during a step, by addressee, so that each gets one message."""

    assigned: defaultdict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    delivered: dict[str, list[Entry | Retold]] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    others: list[Command] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.assigned or self.others or self.delivered or self.notices)

    def take(self) -> list[Command]:
        """All commands of the step; the outbox is empty afterwards."""
        commands: list[Command] = []
        if self.assigned:
            commands.append(Assign(self.assigned))
            self.assigned = defaultdict(list)
        if self.others:
            commands += self.others
            self.others = []
        if self.delivered:
            commands += [Deliver(client, entries) for client, entries in self.delivered.items()]
            self.delivered = {}
        if self.notices:
            commands.append(Publish(self.notices))
            self.notices = []
        return commands
