"""When to give up, as small values that combine: ``StopAfterAttempts(5) | StopAfterSeconds(60)``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from callboard.resilience.setting import number, whole_number


class Stop(ABC):
    """A condition under which no further attempt is made. Immutable and picklable.

    ``a | b`` stops as soon as either does, ``a & b`` once both do.
    """

    __slots__ = ()

    @abstractmethod
    def reached(self, failures: int, elapsed: float) -> bool:
        """Whether to give up after so many failures, when the next attempt would begin ``elapsed`` seconds after the first."""

    @property
    @abstractmethod
    def least_failures(self) -> int:
        """How many failures there must be, at least, before this can be reached."""

    def __or__(self, other: Stop) -> Stop:
        return AnyStop(self, other) if isinstance(other, Stop) else NotImplemented

    def __and__(self, other: Stop) -> Stop:
        return AllStops(self, other) if isinstance(other, Stop) else NotImplemented


@dataclass(frozen=True, slots=True)
class StopAfterAttempts(Stop):
    """Makes no more than ``attempts`` attempts."""

    attempts: int

    def __post_init__(self) -> None:
        whole_number("StopAfterAttempts", "attempts", self.attempts, least=1)

    def reached(self, failures: int, elapsed: float) -> bool:
        return failures >= self.attempts

    @property
    def least_failures(self) -> int:
        return self.attempts


@dataclass(frozen=True, slots=True)
class StopAfterSeconds(Stop):
    """Begins no attempt more than ``seconds`` after the first one began."""

    seconds: float

    def __post_init__(self) -> None:
        number("StopAfterSeconds", "seconds", self.seconds, least=0.0)

    def reached(self, failures: int, elapsed: float) -> bool:
        return elapsed > self.seconds

    @property
    def least_failures(self) -> int:
        return 1


@dataclass(frozen=True, slots=True)
class AnyStop(Stop):
    """What ``|`` makes: stops as soon as one of the two does."""

    one: Stop
    other: Stop

    def reached(self, failures: int, elapsed: float) -> bool:
        return self.one.reached(failures, elapsed) or self.other.reached(failures, elapsed)

    @property
    def least_failures(self) -> int:
        return min(self.one.least_failures, self.other.least_failures)


@dataclass(frozen=True, slots=True)
class AllStops(Stop):
    """What ``&`` makes: stops once both do."""

    one: Stop
    other: Stop

    def reached(self, failures: int, elapsed: float) -> bool:
        return self.one.reached(failures, elapsed) and self.other.reached(failures, elapsed)

    @property
    def least_failures(self) -> int:
        return max(self.one.least_failures, self.other.least_failures)
