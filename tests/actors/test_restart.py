"""The budget of restarts."""

from __future__ import annotations

from callboard.actors.restart import RestartBudget


def test_the_first_restarts_come_at_once_and_later_ones_ever_later() -> None:
    budget = RestartBudget(limit=20, window=60.0, slowest=5.0)
    delays = [budget.died(0.0) for _ in range(20)]
    assert delays[:3] == [0.0, 0.0, 0.0]
    waits = [delay for delay in delays[3:] if delay is not None]
    assert waits == sorted(waits) and waits[0] == 0.05 and waits[1] == 0.1 and waits[-1] == 5.0


def test_the_budget_is_spent_by_too_many_deaths_in_the_window() -> None:
    budget = RestartBudget(limit=3, window=10.0)
    assert [budget.died(float(when)) is None for when in range(5)] == [False, False, False, True, True]


def test_old_deaths_are_forgotten() -> None:
    budget = RestartBudget(limit=2, window=10.0)
    for when in range(0, 100, 6):
        assert budget.died(float(when)) == 0.0
