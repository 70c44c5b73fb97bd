"""Attempts that take longer than they may."""

from __future__ import annotations

from callboard.actors.attempt import Attempt
from callboard.actors.overrun import Overruns
from callboard.messages.spec import TaskSpec


def attempt(task_id: str, timeout: float | None, started: float | None = None) -> Attempt:
    made = Attempt(task_id, task_id, 1, TaskSpec(timeout=timeout), b"", 0)
    made.started = started
    return made


def test_what_is_over_its_time_is_due_until_it_is_given_up() -> None:
    overruns = Overruns()
    quick, slow, free = attempt("quick", 1.0, 10.0), attempt("slow", 5.0, 10.0), attempt("free", None, 0.0)
    overruns.watch([quick, slow, free])
    assert overruns.next(10.5) == 11.0 and overruns.due(10.9) == []
    assert overruns.due(11.0) == [quick]
    quick.abandoned = True
    assert overruns.due(12.0) == [] and overruns.next(12.0) == 15.0
    overruns.leave([slow])
    assert overruns.next(12.0) is None and overruns.due(100.0) == []


def test_one_that_waits_for_its_turn_has_all_its_time_left() -> None:
    overruns = Overruns()
    waiting = attempt("waiting", 2.0)
    overruns.watch([waiting])
    assert overruns.due(1000.0) == [] and overruns.next(1000.0) == 1002.0
