"""One submission of a task, its id, and what can be submitted."""

from __future__ import annotations

import itertools
import os
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from callboard.messages.code import Code
    from callboard.messages.codec import Large
    from callboard.messages.payload import Payload
    from callboard.messages.spec import TaskSpec

PLAIN_ROLE = "python"
"""The role of plain workers, which run carried code that asks for nobody in particular."""


class WorkKind(StrEnum):
    """What a worker does with a submission's payload."""

    PROCESS = "process"  # ProcessWorker.process; the payload is (input_data, metadata)
    CALL = "call"  # a carried function; the payload is (args, kwargs, metadata, gaps: (place, id of the task whose output goes there))
    CARRIED = "carried"  # a carried Task class; the payload is (state of the instance, inputs, metadata)


class Term:
    """The time in which a client sends tasks to a manager. When it is ``over``, that manager has ended, and what it knew with it."""

    __slots__ = ("over",)

    def __init__(self) -> None:
        self.over = False


class Submission:
    """One submission of a task: the shared spec and what is its own. A plain record, since there are millions.

    ``given_id`` says that a person chose the id, so that it must be fresh. ``dependencies`` are task ids, ``shares`` ids
    of shared values (see `messages.shared`) that its payload refers to.
    ``fallback`` is a payload (a value that stands in) or a Submission (a task that does). ``sources`` are the tasks
    behind ``dependencies`` that nobody may have submitted yet, ``origin`` is the task whose own id this is, which is told
    when it has been sent; these stay here and do not travel. ``dependencies_sent`` says that its client has sent all
    that it depends on before: who does not know one of these has forgotten it.
    """

    __slots__ = (
        "code",
        "dependencies",
        "dependencies_sent",
        "fallback",
        "given_id",
        "idempotency_key",
        "name",
        "origin",
        "payload",
        "shares",
        "sources",
        "spec",
        "task_id",
    )

    def __init__(
        self,
        task_id: str,
        name: str,
        spec: TaskSpec,
        payload: Payload | Large,
        dependencies: tuple[str, ...] = (),
        code: Code | None = None,
        idempotency_key: str | None = None,
        fallback: Payload | Large | Submission | None = None,
        given_id: bool = False,
        shares: tuple[str, ...] = (),
        sources: tuple[Source, ...] = (),
    ) -> None:
        self.task_id = task_id
        self.name = name
        self.spec = spec
        self.payload = payload
        self.dependencies = dependencies
        self.code = code
        self.idempotency_key = idempotency_key
        self.fallback = fallback
        self.given_id = given_id
        self.shares = shares
        self.sources = sources
        self.origin: Source | None = None
        self.dependencies_sent = False

    def withdraw(self) -> None:
        """It is not going to be sent, unless it was."""
        origin, self.origin = self.origin, None
        if origin is not None:
            origin.note_withdrawn()


class Submittable(Protocol):
    """What can be handed to ``submit``: it knows how to become a `Submission`. May raise `CannotPickle`."""

    def submission(self) -> Submission:
        """Make a submission with an id of its own."""
        ...


class Source(Submittable, Protocol):
    """A task that another one names as a dependency, by which it is submitted as well."""

    def first_submission(self) -> Submission | None:
        """Likewise, but None when it was submitted before and the client that sent it is still there. Of several threads that
        ask at once one alone gets it."""
        ...

    @property
    def id(self) -> str:
        """By which it is named."""
        ...

    def note_sent(self, term: Term) -> None:
        """It has been sent under this id."""
        ...

    def was_sent_in(self, term: Term) -> bool:
        """Whether it has been, by the client of this term."""
        ...

    def note_withdrawn(self) -> None:
        """It is not going to be, after all."""
        ...


class _Ids:
    """Ids that are unique on earth and cheap: 72 random bits of this process and a count."""

    def __init__(self) -> None:
        self.renew()
        # A fork would go on counting under the same prefix.
        os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        self.prefix = os.urandom(9).hex() + "-"
        self.count = itertools.count(1)


_ids = _Ids()


def fresh_id() -> str:
    """A task id that nobody else has. Thread-safe."""
    return f"{_ids.prefix}{next(_ids.count)}"
