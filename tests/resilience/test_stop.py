"""When to give up."""

from __future__ import annotations

import math
import pickle

import pytest

from callboard.messages.errors import InvalidSetting
from callboard.resilience import StopAfterAttempts, StopAfterSeconds


def test_attempts_are_counted() -> None:
    stop = StopAfterAttempts(3)
    assert [stop.reached(failures, 0.0) for failures in (1, 2, 3, 4)] == [False, False, True, True]


def test_the_last_attempt_may_begin_at_the_very_second() -> None:
    stop = StopAfterSeconds(60)
    assert [stop.reached(1, elapsed) for elapsed in (0.0, 60.0, 60.001)] == [False, False, True]


@pytest.mark.parametrize(
    ("failures", "elapsed", "either", "both"),
    [(1, 0.0, False, False), (5, 0.0, True, False), (1, 61.0, True, False), (5, 61.0, True, True)],
)
def test_conditions_combine(failures: int, elapsed: float, either: bool, both: bool) -> None:
    attempts, seconds = StopAfterAttempts(5), StopAfterSeconds(60)
    assert (attempts | seconds).reached(failures, elapsed) is either
    assert (attempts & seconds).reached(failures, elapsed) is both


def test_the_least_number_of_failures_is_known_of_combinations() -> None:
    attempts, seconds = StopAfterAttempts(5), StopAfterSeconds(60)
    assert (attempts | seconds).least_failures == 1
    assert (attempts & seconds).least_failures == 5


def test_a_condition_is_a_value() -> None:
    stop = StopAfterAttempts(5) & (StopAfterSeconds(60) | StopAfterAttempts(9))
    assert pickle.loads(pickle.dumps(stop)) == stop
    assert hash(stop) == hash(StopAfterAttempts(5) & (StopAfterSeconds(60) | StopAfterAttempts(9)))


def test_only_conditions_combine() -> None:
    with pytest.raises(TypeError):
        StopAfterAttempts(5) | 60  # type: ignore[operator]


@pytest.mark.parametrize("attempts", [0, -1, 1.5, True, "3"])
def test_attempts_that_cannot_work_are_refused(attempts: int) -> None:
    with pytest.raises(InvalidSetting, match="StopAfterAttempts: attempts must be a whole number from 1"):
        StopAfterAttempts(attempts)


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, "60"])
def test_seconds_that_cannot_work_are_refused(seconds: float) -> None:
    with pytest.raises(InvalidSetting, match="StopAfterSeconds: seconds must be a finite number from 0"):
        StopAfterSeconds(seconds)
