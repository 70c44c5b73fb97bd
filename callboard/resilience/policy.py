"""Retry policies: whether a failed task is tried again, and after how long."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from callboard.messages.errors import InvalidSetting, TaskFailed
from callboard.resilience.setting import number, whole_number
from callboard.resilience.stop import Stop

if TYPE_CHECKING:
    from callboard.messages.spec import RetryNumbers

logger = logging.getLogger("callboard")

Kind = type[BaseException] | str
"""A class of exceptions, or its name (bare, or with its module)."""
Kinds = Kind | Iterable[Kind] | Callable[[BaseException], bool]
"""Which errors are meant: one kind, several, or a function that says so."""


@dataclass(frozen=True)
class RetryPolicy:
    """Tries a failed task again, up to ``max_attempts`` attempts in all. Immutable, and picklable if what it holds is.

    After the first failure it waits ``initial_delay_seconds``, after each further one ``backoff_factor`` times as long
    as before, at most ``max_delay_seconds``; ``jitter`` stretches a wait at random, by up to this fraction of it.

    Errors of ``retry_on`` are retried unless they are of ``give_up_on`` as well. Each is a class, a class's name (for
    classes that are not to be had where the policy is written), several of these, or a function of the exception; a
    base class stands for all below it. A failure that a task reported without an exception counts as `TaskFailed`.
    ``stop`` may end the attempts before ``max_attempts`` does.

    A worker that dies and an attempt that overruns leave nobody to ask ``retry_on``, ``give_up_on`` and ``stop``:
    overruns are judged by the numbers alone, deaths by a limit of their own. Raises `InvalidSetting`.
    """

    max_attempts: int = 3
    initial_delay_seconds: float = 0.0
    backoff_factor: float = 1.0
    max_delay_seconds: float = 3600.0
    jitter: float = 0.0
    retry_on: Kinds = (Exception,)
    give_up_on: Kinds = ()
    stop: Stop | None = None

    def __post_init__(self) -> None:
        whole_number("RetryPolicy", "max_attempts", self.max_attempts, least=1)
        number("RetryPolicy", "initial_delay_seconds", self.initial_delay_seconds, least=0.0)
        number("RetryPolicy", "backoff_factor", self.backoff_factor, least=0.0)
        number("RetryPolicy", "max_delay_seconds", self.max_delay_seconds, least=0.0)
        number("RetryPolicy", "jitter", self.jitter, least=0.0)
        object.__setattr__(self, "retry_on", _kinds("retry_on", self.retry_on))
        object.__setattr__(self, "give_up_on", _kinds("give_up_on", self.give_up_on))
        self._check_stop()

    def _check_stop(self) -> None:
        if self.stop is None:
            return
        if not isinstance(self.stop, Stop):
            raise InvalidSetting(f"RetryPolicy: stop must be a stop condition such as StopAfterSeconds(60), not {self.stop!r}")
        if self.stop.least_failures > self.max_attempts:
            raise InvalidSetting(
                f"RetryPolicy: stop={self.stop!r} can never be reached with max_attempts={self.max_attempts}; "
                f"set max_attempts to {self.stop.least_failures} or more"
            )

    def decide(self, error: BaseException | None, failures: int, elapsed: float, random: float = 0.0) -> float | None:
        """Seconds to wait before the next attempt, or None to give up.

        ``error`` is what the attempt raised, None for a failure without an exception. ``failures`` counts this one too,
        ``elapsed`` is seconds since the first attempt began, ``random`` a number in [0, 1) for the jitter.
        A function in ``retry_on`` or ``give_up_on`` that raises is logged and gives up.
        """
        if failures >= self.max_attempts:
            return None
        delay = self.numbers().delay(failures, random)
        if self.stop is not None and self.stop.reached(failures, elapsed + delay):
            return None
        if error is None:
            error = TaskFailed("the task reported a failure")
        try:
            again = _among(error, self.retry_on) and not _among(error, self.give_up_on)
        except Exception:  # the policy's functions are a person's code
            logger.exception("a retry policy could not judge %s and gives up", type(error).__name__)
            return None
        return delay if again else None

    def numbers(self) -> RetryNumbers:
        """The numbers alone, by which can be decided where the exception is not known."""
        from callboard.messages.spec import RetryNumbers

        return RetryNumbers(
            max_attempts=self.max_attempts,
            initial_delay_seconds=self.initial_delay_seconds,
            backoff_factor=self.backoff_factor,
            max_delay_seconds=self.max_delay_seconds,
            jitter=self.jitter,
        )


def _kinds(name: str, kinds: Kinds) -> tuple[Kind, ...] | Callable[[BaseException], bool]:
    if isinstance(kinds, type | str):
        kinds = (kinds,)
    elif callable(kinds):
        return kinds
    elif not isinstance(kinds, Iterable):
        raise InvalidSetting(f"RetryPolicy: {name} must hold exception classes, their names, or be a function, not {kinds!r}")
    kept = tuple(kinds)
    for kind in kept:
        if not (isinstance(kind, str) and kind) and not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise InvalidSetting(f"RetryPolicy: {name} must hold exception classes or their names, not {kind!r}")
    return kept


def _among(error: BaseException, kinds: Kinds) -> bool:
    if callable(kinds):
        return bool(kinds(error))
    assert isinstance(kinds, tuple)  # __post_init__ made it one
    classes = tuple(kind for kind in kinds if isinstance(kind, type))
    if isinstance(error, classes):
        return True
    names = {kind for kind in kinds if isinstance(kind, str)}
    return bool(names) and any(base.__name__ in names or _full_name(base) in names for base in type(error).__mro__)


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
