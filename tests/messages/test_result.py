"""The result of a task: a value, however it was made."""

from __future__ import annotations

import dataclasses
import pickle

import pytest

from callboard.messages.result import TaskResult, draw_up
from callboard.messages.status import TaskStatus

VALUES = ("task-1", "name", TaskStatus.COMPLETED, [1], None, None, "ada", 2, 0.5)


def test_one_that_was_drawn_up_is_like_any_other() -> None:
    drawn, made = draw_up(*VALUES), TaskResult(*VALUES)
    assert type(drawn) is TaskResult and drawn == made and repr(drawn) == repr(made)
    assert pickle.loads(pickle.dumps(drawn)) == made and dataclasses.astuple(drawn) == VALUES
    assert dataclasses.replace(drawn, output=2).output == 2 and hash(dataclasses.replace(drawn, output=2))


@pytest.mark.parametrize("result", [draw_up(*VALUES), TaskResult(*VALUES)])
def test_it_does_not_change(result: TaskResult) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.output = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del result.output
    with pytest.raises((AttributeError, TypeError)):
        object.__setattr__(result, "other", 1)
