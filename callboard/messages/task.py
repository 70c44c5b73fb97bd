"""What travels of a task: the spec that many submissions share, and the submission that is one of them."""

from __future__ import annotations

import itertools
import os
import secrets
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict

from callboard.messages.code import Code
from callboard.messages.payload import Payload

if TYPE_CHECKING:
    from callboard.messages.codec import Large

PLAIN_ROLE = "python"
"""The role of plain workers, which run carried code that asks for nobody in particular."""


class WorkKind(StrEnum):
    """What a worker does with a submission's payload."""

    PROCESS = "process"  # ProcessWorker.process; the payload is (input_data, metadata)
    CALL = "call"  # a carried function; the payload is (args, kwargs, metadata)
    CARRIED = "carried"  # a carried Task class; the payload is (state of the instance, inputs, metadata)


class RetryNumbers(BaseModel):
    """The numbers of a retry policy, by which the manager decides after deaths and timeouts. Delays are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_attempts: int = 1
    initial_delay_seconds: float = 0.0
    backoff_factor: float = 1.0
    max_delay_seconds: float = 3600.0
    jitter: float = 0.0

    def delay(self, failures: int, random: float = 0.0) -> float:
        """Seconds to wait after so many failures (from 1); ``random`` in [0, 1) stretches by up to ``jitter``."""
        if not self.initial_delay_seconds:
            return 0.0
        try:
            delay = self.initial_delay_seconds * self.backoff_factor ** (failures - 1)
        except OverflowError:  # a float overflows long before a patient policy gives up
            delay = self.max_delay_seconds
        return min(delay, self.max_delay_seconds) * (1.0 + self.jitter * random)


class TaskSpec(BaseModel):
    """What all submissions of one declaration have in common, so that it travels once. Times are seconds.

    ``role`` is the processor asked for, None for any role. ``skills`` are the least levels, sorted by tag. ``policy``
    is the pickled retry policy that the worker evaluates; ``retry`` are its numbers. ``code`` is a digest (see
    `messages.code`). ``breaker`` is the pickled circuit breaker's settings, ``breaker_key`` its name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")

    kind: WorkKind = WorkKind.PROCESS
    role: str | None = PLAIN_ROLE
    skills: tuple[tuple[str, int], ...] = ()
    priority: int = 0
    timeout: float | None = None
    expires_in: float | None = None
    retry: RetryNumbers | None = None
    policy: bytes | None = None
    breaker_key: str | None = None
    breaker: BreakerNumbers | None = None
    idempotent: bool = False
    version: tuple[int, int] = (1, 0)
    code: str | None = None
    label: str | None = None
    """What a person calls the declaration (a class or function), for errors about its code."""


class BreakerNumbers(BaseModel):
    """When a circuit breaker opens and for how long. Seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failure_threshold: int = 5
    recovery_seconds: float = 30.0
    half_open_calls: int = 1


class Submission:
    """One submission of a task: the shared spec and what is its own. A plain record, since there are millions.

    ``given_id`` says that a person chose the id, so that it must be fresh. ``dependencies`` are task ids, ``shares`` ids
    of shared values (see `messages.shared`) that its payload refers to.
    ``fallback`` is a payload (a value that stands in) or a Submission (a task that does). ``sources`` are the tasks
    behind ``dependencies`` that nobody may have submitted yet; they stay here and do not travel.
    """

    __slots__ = (
        "code",
        "dependencies",
        "fallback",
        "given_id",
        "idempotency_key",
        "name",
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


class Submittable(Protocol):
    """What can be handed to ``submit``: it knows how to become a `Submission`. May raise `CannotPickle`."""

    def submission(self) -> Submission:
        """Make a submission with an id of its own."""
        ...


class Source(Submittable, Protocol):
    """A task that another one names as a dependency, by which it is submitted as well."""

    def first_submission(self) -> Submission | None:
        """Likewise, but None when it was submitted before. Of several threads that ask at once one alone gets it."""
        ...


class _Ids:
    """Ids that are unique on earth and cheap: 72 random bits of this process and a count."""

    def __init__(self) -> None:
        self.renew()
        # A fork would go on counting under the same prefix.
        os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        self.prefix = secrets.token_hex(9) + "-"
        self.count = itertools.count(1)


_ids = _Ids()


def fresh_id() -> str:
    """A task id that nobody else has. Thread-safe."""
    return f"{_ids.prefix}{next(_ids.count):x}"


class Reference(BaseModel):
    """Stands in a call's arguments for the output of a task that it depends on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_id: str


TaskSpec.model_rebuild()
