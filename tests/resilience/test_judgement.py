from __future__ import annotations

import math

import pytest

from callboard.resilience import RetryPolicy
from callboard.resilience.judgement import judged


class Answers:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def decide(self, *asked: object) -> object:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_what_a_policy_says_is_done() -> None:
    policy = RetryPolicy(max_attempts=2, initial_delay_seconds=3)
    assert judged(policy, ValueError(), 1, 0.0) == 3.0
    assert judged(policy, ValueError(), 2, 0.0) is None
    assert judged(Answers(None), ValueError(), 1, 0.0) is None
    assert judged(Answers(-1), ValueError(), 1, 0.0) == 0.0


@pytest.mark.parametrize("answer", [LookupError("no idea"), "soon", [], math.inf, math.nan])
def test_what_is_no_delay_is_logged_and_gives_up(answer: object, caplog: pytest.LogCaptureFixture) -> None:
    assert judged(Answers(answer), ValueError(), 1, 0.0) is None
    assert "and so gives up" in caplog.text
