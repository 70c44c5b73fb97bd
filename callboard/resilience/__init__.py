"""Floor 1: what to do about failures. Pure values and states; time is handed in."""

from callboard.resilience.breaker import CircuitBreaker
from callboard.resilience.circuit import CIRCUIT_TRANSITIONS, Circuit, CircuitState, Transition
from callboard.resilience.policy import RetryPolicy
from callboard.resilience.stop import Stop, StopAfterAttempts, StopAfterSeconds

__all__ = [
    "CIRCUIT_TRANSITIONS",
    "Circuit",
    "CircuitBreaker",
    "CircuitState",
    "RetryPolicy",
    "Stop",
    "StopAfterAttempts",
    "StopAfterSeconds",
    "Transition",
]
