"""What a person declares of a circuit breaker, and its use around a call in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from callboard.messages.errors import CircuitOpen, InvalidSetting
from callboard.resilience.circuit import Circuit, CircuitState
from callboard.resilience.setting import number, whole_number

if TYPE_CHECKING:
    from callboard.messages.spec import BreakerNumbers

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class CircuitBreaker:
    """Refuses calls for a while once ``failure_threshold`` in a row have failed.

    After ``recovery_seconds`` it lets ``half_open_calls`` through on trial. Tasks that carry breakers of one ``name``
    share one circuit across all workers; without a name it is the task's own name. Raises `InvalidSetting`.

    `call` and `guard` use a circuit that belongs to this object and this process alone; it does not travel with it.
    Both are thread-safe. ``clock`` gives seconds that never go back.
    """

    name: str | None = None
    failure_threshold: int = 5
    recovery_seconds: float = 30.0
    half_open_calls: int = 1
    clock: Callable[[], float] = field(default=time.monotonic, compare=False, repr=False)
    _circuit: Circuit = field(init=False, compare=False, repr=False)
    _lock: threading.Lock = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.name is not None and not (isinstance(self.name, str) and self.name):
            raise InvalidSetting(f"CircuitBreaker: name must be a text that is not empty, or None, not {self.name!r}")
        whole_number("CircuitBreaker", "failure_threshold", self.failure_threshold, least=1)
        number("CircuitBreaker", "recovery_seconds", self.recovery_seconds, least=0.0)
        whole_number("CircuitBreaker", "half_open_calls", self.half_open_calls, least=1)
        object.__setattr__(self, "_circuit", Circuit(self.numbers()))
        object.__setattr__(self, "_lock", threading.Lock())

    def __reduce__(self) -> tuple[type[CircuitBreaker], tuple[str | None, int, float, int]]:
        return type(self), (self.name, self.failure_threshold, self.recovery_seconds, self.half_open_calls)

    def numbers(self) -> BreakerNumbers:
        """What travels of the declaration beside its name."""
        from callboard.messages.spec import BreakerNumbers

        return BreakerNumbers(
            failure_threshold=self.failure_threshold,
            recovery_seconds=self.recovery_seconds,
            half_open_calls=self.half_open_calls,
        )

    @property
    def state(self) -> CircuitState:
        """The state of this object's own circuit."""
        return self._circuit.state

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function, or raise `CircuitOpen` without calling it. An exception that it raises counts and comes out."""
        with self.guard():
            return function(*args, **kwargs)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """As `call`, for a block of code, which may await."""
        with self._lock:
            if not self._circuit.allow(self.clock()):
                raise CircuitOpen(self._refusal())
        end = self._circuit.abandoned  # of a block that was cancelled nothing is known
        try:
            yield
            end = self._circuit.succeeded
        except Exception:
            end = self._circuit.failed
            raise
        finally:
            with self._lock:
                end(self.clock())

    def _refusal(self) -> str:
        which = f"circuit breaker {self.name!r}" if self.name else "the circuit breaker"
        retry_at = self._circuit.retry_at
        if retry_at is None:
            return f"{which} is half-open and its trial calls are under way; try again when they have ended"
        return f"{which} is open; it lets a call through on trial in {max(0.0, retry_at - self.clock()):.3g} s"
