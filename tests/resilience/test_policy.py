"""Whether a failed task is tried again, and after how long."""

from __future__ import annotations

import logging
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.messages.errors import InvalidSetting, TaskFailed
from callboard.messages.payload import dumps_small
from callboard.resilience import RetryPolicy, StopAfterAttempts, StopAfterSeconds


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def advance(self, seconds: float) -> None:
        self.now += seconds


def attempt(policy: RetryPolicy, work: Callable[[], BaseException | bool], clock: Clock) -> tuple[bool, list[float]]:
    """Carry a policy out: whether it came to a success, and the waits it made."""
    waits: list[float] = []
    began, failures = clock.now, 0
    while True:
        outcome = work()
        if outcome is True:
            return True, waits
        failures += 1
        error = outcome if isinstance(outcome, BaseException) else None
        delay = policy.decide(error, failures, clock.now - began)
        if delay is None:
            return False, waits
        waits.append(delay)
        clock.advance(delay)


def test_three_attempts_factor_two_one_second() -> None:
    policy = RetryPolicy(max_attempts=3, backoff_factor=2, initial_delay_seconds=1)
    outcomes = iter([False, False, True])
    clock = Clock()
    assert attempt(policy, lambda: next(outcomes), clock) == (True, [1.0, 2.0])
    assert clock.now == 103.0


def test_the_third_failure_of_three_is_the_last() -> None:
    policy = RetryPolicy(max_attempts=3, backoff_factor=2, initial_delay_seconds=1)
    assert attempt(policy, lambda: False, Clock()) == (False, [1.0, 2.0])


def test_a_plain_policy_waits_the_same_time_again() -> None:
    policy = RetryPolicy(max_attempts=4, initial_delay_seconds=0.5)
    assert attempt(policy, lambda: OSError(), Clock()) == (False, [0.5, 0.5, 0.5])


def test_waits_are_bounded() -> None:
    policy = RetryPolicy(max_attempts=2000, initial_delay_seconds=1, backoff_factor=10, max_delay_seconds=50)
    assert [policy.decide(None, failures, 0.0) for failures in (1, 2, 3, 1999)] == [1, 10, 50, 50]


def test_a_huge_factor_without_a_first_delay_does_not_wait() -> None:
    assert RetryPolicy(max_attempts=2000, backoff_factor=10).decide(None, 1999, 0.0) == 0.0


@given(random=st.floats(0, 1, exclude_max=True), jitter=st.floats(0, 2))
def test_jitter_stretches_a_wait_by_at_most_its_fraction(random: float, jitter: float) -> None:
    delay = RetryPolicy(initial_delay_seconds=4, jitter=jitter).decide(None, 1, 0.0, random)
    assert delay is not None
    assert 4 <= delay <= 4 * (1 + jitter)


def test_a_stop_condition_ends_attempts_before_the_count_does() -> None:
    policy = RetryPolicy(max_attempts=100, initial_delay_seconds=20, stop=StopAfterSeconds(60))
    assert attempt(policy, lambda: False, Clock()) == (False, [20, 20, 20])


def test_no_wait_begins_that_would_end_too_late() -> None:
    policy = RetryPolicy(max_attempts=9, initial_delay_seconds=20, stop=StopAfterSeconds(60))
    assert policy.decide(None, 1, 40.0) == 20
    assert policy.decide(None, 1, 40.1) is None


class Refused(ConnectionError):
    pass


@pytest.mark.parametrize(
    ("retry_on", "give_up_on", "error", "again"),
    [
        ((Exception,), (), ValueError(), True),
        ((Exception,), (), None, True),
        ((Exception,), (), KeyboardInterrupt(), False),
        ((BaseException,), (), KeyboardInterrupt(), True),
        (ConnectionError, (), Refused(), True),
        (ConnectionError, (), None, False),
        ((ConnectionError, TaskFailed), (), None, True),
        ([ConnectionError, "ValueError"], (), UnicodeError(), True),
        ("OSError", (), Refused(), True),
        ("Refused", (), Refused(), True),
        (f"{__name__}.Refused", (), Refused(), True),
        ("elsewhere.Refused", (), Refused(), False),
        (OSError, Refused, Refused(), False),
        (OSError, "Refused", ConnectionError(), True),
        (Exception, TaskFailed, None, False),
        ((), (), ValueError(), False),
        (lambda error: error.args == (503,), (), OSError(503), True),
        (lambda error: error.args == (503,), (), OSError(404), False),
        (Exception, lambda error: error.args == (404,), OSError(404), False),
    ],
)
def test_which_errors_are_retried(retry_on: Any, give_up_on: Any, error: BaseException | None, again: bool) -> None:
    policy = RetryPolicy(retry_on=retry_on, give_up_on=give_up_on)
    assert (policy.decide(error, 1, 0.0) is not None) is again


def test_a_predicate_that_raises_gives_up_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    policy = RetryPolicy(retry_on=lambda error: bool(error.args[0]))
    with caplog.at_level(logging.ERROR, "callboard"):
        assert policy.decide(ValueError(), 1, 0.0) is None
    assert "could not judge ValueError" in caplog.text
    assert "IndexError" in caplog.text


def test_numbers_decide_alike() -> None:
    policy = RetryPolicy(max_attempts=9, initial_delay_seconds=2, backoff_factor=3, max_delay_seconds=40, jitter=0.5)
    numbers = policy.numbers()
    assert numbers.max_attempts == 9
    for failures in (1, 2, 3, 4):
        assert numbers.delay(failures, 0.5) == policy.decide(None, failures, 0.0, 0.5)


def test_a_policy_travels() -> None:
    policy = RetryPolicy(retry_on=["OSError", ValueError], stop=StopAfterAttempts(2) | StopAfterSeconds(9))
    assert pickle.loads(pickle.dumps(policy)) == policy
    carried = pickle.loads(dumps_small(RetryPolicy(retry_on=lambda error: isinstance(error, OSError))))
    assert carried.decide(OSError(), 1, 0.0) == 0.0


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"max_attempts": 0}, "max_attempts must be a whole number from 1, not 0"),
        ({"max_attempts": 2.5}, "max_attempts must be a whole number"),
        ({"initial_delay_seconds": -1}, "initial_delay_seconds must be a finite number from 0, not -1"),
        ({"backoff_factor": "2"}, "backoff_factor must be a finite number"),
        ({"max_delay_seconds": math.inf}, "max_delay_seconds must be a finite number"),
        ({"jitter": math.nan}, "jitter must be a finite number"),
        ({"retry_on": (42,)}, "retry_on must hold exception classes or their names, not 42"),
        ({"retry_on": 42}, "retry_on must hold exception classes, their names, or be a function, not 42"),
        ({"retry_on": (int,)}, "retry_on must hold exception classes or their names"),
        ({"give_up_on": ("",)}, "give_up_on must hold exception classes or their names, not ''"),
        ({"stop": 60}, "stop must be a stop condition such as StopAfterSeconds"),
        ({"stop": StopAfterAttempts(5)}, "can never be reached with max_attempts=3; set max_attempts to 5 or more"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidSetting, match=text):
        RetryPolicy(**settings)
