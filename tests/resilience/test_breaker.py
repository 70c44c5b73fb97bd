"""The breaker around a call in this process."""

from __future__ import annotations

import asyncio
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from callboard.messages.errors import CircuitOpen, InvalidSetting
from callboard.resilience import CircuitBreaker, CircuitState


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def fail(error: type[BaseException]) -> None:
    raise error


def trip(breaker: CircuitBreaker, call: Callable[..., Any] = fail) -> None:
    for _ in range(breaker.failure_threshold):
        with pytest.raises(OSError):
            breaker.call(call, OSError)


def test_it_refuses_without_calling_and_recovers() -> None:
    clock = Clock()
    calls: list[int] = []
    breaker = CircuitBreaker("bank", failure_threshold=2, recovery_seconds=10, clock=clock)
    trip(breaker)
    with pytest.raises(CircuitOpen, match="circuit breaker 'bank' is open; it lets a call through on trial in 10 s"):
        breaker.call(calls.append, 1)
    assert calls == []
    clock.now = 10
    breaker.call(calls.append, 2)
    assert calls == [2]
    assert breaker.state is CircuitState.CLOSED


def test_what_the_call_returns_comes_out() -> None:
    assert CircuitBreaker().call(divmod, 7, 2) == (3, 1)


def test_a_cancelled_trial_says_nothing() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failure_threshold=1, recovery_seconds=10, clock=clock)
    trip(breaker)
    clock.now = 10
    with pytest.raises(asyncio.CancelledError):
        breaker.call(fail, asyncio.CancelledError)
    assert breaker.state is CircuitState.HALF_OPEN
    assert breaker.call(len, "abc") == 3


def test_a_second_call_during_a_trial_is_refused() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failure_threshold=1, recovery_seconds=10, clock=clock)
    trip(breaker)
    clock.now = 10
    with breaker.guard(), pytest.raises(CircuitOpen, match="half-open and its trial calls are under way"):
        breaker.call(len, "abc")
    assert breaker.state is CircuitState.CLOSED


async def _guarded(breaker: CircuitBreaker) -> None:
    with breaker.guard():
        await asyncio.sleep(0)
        raise OSError


def test_a_guarded_block_may_await() -> None:
    breaker = CircuitBreaker(failure_threshold=1)
    with pytest.raises(OSError):
        asyncio.run(_guarded(breaker))
    assert breaker.state is CircuitState.OPEN


def test_the_declaration_travels_without_its_circuit() -> None:
    breaker = CircuitBreaker("bank", failure_threshold=1, recovery_seconds=2.5, half_open_calls=2)
    trip(breaker)
    carried = pickle.loads(pickle.dumps(breaker))
    assert carried == breaker
    assert hash(carried) == hash(breaker)
    assert carried.state is CircuitState.CLOSED
    assert carried.numbers() == breaker.numbers()


def test_its_representation_is_its_declaration() -> None:
    assert repr(CircuitBreaker("bank")) == "CircuitBreaker(name='bank', failure_threshold=5, recovery_seconds=30.0, half_open_calls=1)"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"name": ""}, "name must be a text that is not empty"),
        ({"name": 7}, "name must be a text"),
        ({"failure_threshold": 0}, "failure_threshold must be a whole number from 1"),
        ({"recovery_seconds": math.nan}, "recovery_seconds must be a finite number from 0"),
        ({"half_open_calls": 0}, "half_open_calls must be a whole number from 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidSetting, match=text):
        CircuitBreaker(**settings)
