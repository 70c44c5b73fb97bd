"""One circuit, under a clock that the test moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callboard.messages.spec import BreakerNumbers
from callboard.resilience import CIRCUIT_TRANSITIONS, Circuit, CircuitState

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN
NUMBERS = BreakerNumbers(failure_threshold=3, recovery_seconds=30, half_open_calls=1)


def opened(numbers: BreakerNumbers = NUMBERS, now: float = 0.0) -> Circuit:
    circuit = Circuit(numbers)
    for _ in range(numbers.failure_threshold):
        assert circuit.allow(now)
        circuit.failed(now)
    assert circuit.state is OPEN
    return circuit


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    circuit = Circuit(NUMBERS)
    assert [circuit.failed(0), circuit.failed(1), circuit.failed(2)] == [None, None, (CLOSED, OPEN)]
    assert circuit.retry_at == 32
    assert not circuit.allow(31.9)


def test_a_success_between_starts_the_count_again() -> None:
    circuit = Circuit(NUMBERS)
    for outcome in (circuit.failed, circuit.failed, circuit.succeeded, circuit.failed, circuit.failed):
        assert outcome(0) is None
    assert circuit.failed(0) == (CLOSED, OPEN)


def test_one_trial_closes_it_again() -> None:
    circuit = opened()
    assert circuit.allow(30)
    assert circuit.state is HALF_OPEN
    assert circuit.retry_at is None
    assert not circuit.allow(30)
    assert circuit.succeeded(31) == (HALF_OPEN, CLOSED)
    assert circuit.allow(31)
    assert circuit.failed(31) is None


def test_a_failed_trial_opens_it_for_as_long_again() -> None:
    circuit = opened()
    assert circuit.allow(30)
    assert circuit.failed(40) == (HALF_OPEN, OPEN)
    assert circuit.retry_at == 70
    assert not circuit.allow(69)
    assert circuit.allow(70)


def test_an_abandoned_trial_may_be_made_again() -> None:
    circuit = opened()
    assert circuit.allow(30)
    assert circuit.abandoned(31) is None
    assert circuit.allow(31)


def test_all_of_several_trials_must_succeed() -> None:
    circuit = opened(BreakerNumbers(failure_threshold=1, recovery_seconds=1, half_open_calls=2))
    assert [circuit.allow(1), circuit.allow(1), circuit.allow(1)] == [True, True, False]
    assert circuit.succeeded(1) is None
    assert not circuit.allow(1)
    assert circuit.succeeded(1) == (HALF_OPEN, CLOSED)


def test_waking_tells_of_the_transition() -> None:
    circuit = opened()
    assert circuit.wake(29) is None
    assert circuit.wake(30) == (OPEN, HALF_OPEN)
    assert circuit.wake(31) is None


def test_words_from_before_it_opened_change_nothing() -> None:
    circuit = opened()
    assert [circuit.succeeded(1), circuit.failed(1), circuit.abandoned(1)] == [None, None, None]
    assert circuit.retry_at == 30


@given(
    st.lists(st.tuples(st.sampled_from(["allow", "succeeded", "failed", "abandoned"]), st.floats(0, 20))),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_whatever_happens_it_keeps_to_its_table_and_recovers(happenings: list[tuple[str, float]], threshold: int, trials: int) -> None:
    circuit = Circuit(BreakerNumbers(failure_threshold=threshold, recovery_seconds=10, half_open_calls=trials))
    now, running = 0.0, 0
    for what, later in happenings:
        now += later
        before = circuit.state
        if what == "allow":
            woken = HALF_OPEN if before is OPEN and circuit.retry_at is not None and now >= circuit.retry_at else before
            running += circuit.allow(now)
            assert circuit.state is woken
        elif running:
            running -= 1
            transition = getattr(circuit, what)(now)
            assert transition == (None if circuit.state is before else (before, circuit.state))
            assert transition is None or circuit.state in CIRCUIT_TRANSITIONS[before]
    for _ in range(running):
        circuit.abandoned(now)
    assert circuit.allow(now + 10)
