"""What a person folds results with."""

from __future__ import annotations

import operator

import pytest

from callboard.gather import Aggregator, Fold
from callboard.messages.errors import TaskFailed
from callboard.messages.result import TaskResult
from callboard.messages.status import TaskStatus


def result(output: object, status: TaskStatus = TaskStatus.COMPLETED) -> TaskResult:
    return TaskResult("id", "item", status, output=output)


def test_outputs_are_folded_as_they_arrive() -> None:
    fold = Fold(operator.add, "")
    for letter in "cat":
        fold.add(result(letter))
    assert fold.finish() == "cat"


def test_a_fold_over_nothing_is_its_first_value() -> None:
    assert Fold(operator.add, 0).finish() == 0


def test_a_fold_refuses_what_did_not_complete() -> None:
    with pytest.raises(TaskFailed):
        Fold(operator.add, 0).add(result(None, TaskStatus.FAILED))


def test_both_methods_must_be_written() -> None:
    class Half(Aggregator):
        def add(self, result: TaskResult) -> None: ...

    with pytest.raises(TypeError, match="finish"):
        Half()  # type: ignore[abstract]
