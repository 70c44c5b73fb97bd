"""What all submissions of one declaration have in common, so that it travels once."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from callboard.messages.task import WorkKind


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


class BreakerNumbers(BaseModel):
    """When a circuit breaker opens and for how long. Seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failure_threshold: int = 5
    recovery_seconds: float = 30.0
    half_open_calls: int = 1


class TaskSpec(BaseModel):
    """What all submissions of one declaration have in common, so that it travels once. Times are seconds.

    ``role`` is the processor asked for, None for any role. ``skills`` are the least levels, sorted by tag. ``policy``
    is the pickled retry policy that the worker evaluates; ``retry`` are its numbers. ``code`` is a digest (see
    `messages.code`). ``breaker`` is the pickled circuit breaker's settings, ``breaker_key`` its name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")

    kind: WorkKind = WorkKind.PROCESS
    role: str | None = None
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
