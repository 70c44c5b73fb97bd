"""Which events of a topic a listener wants."""

from __future__ import annotations

from typing import Any

import pytest

from callboard.events import check_where, matches
from callboard.messages.errors import InvalidSetting
from callboard.messages.event import Event

TASK = Event("task.completed", 0.0, 1, task_id="t1", name="portrait", worker="ada", data={"attempt": 2, "tags": ["oil"], "name": "other"})
OWN = Event("order.paid", 0.0, 1, data={"name": "cat", "sum": 5, "note": None})


@pytest.mark.parametrize(
    ("event", "where", "wanted"),
    [
        (TASK, None, True),
        (TASK, {}, True),
        (TASK, {"name": "portrait"}, True),
        (TASK, {"name": "other"}, False),
        (TASK, {"name": "portrait", "worker": "bob"}, False),
        (TASK, {"task_id": {"t1", "t2"}}, True),
        (TASK, {"worker": ("bob", "eve")}, False),
        (TASK, {"worker": []}, False),
        (TASK, {"topic": "task.completed", "attempt": 2}, True),
        (TASK, {"tags": [["oil"], ["gpu"]]}, True),
        (TASK, {"tags": {"oil"}}, False),
        (TASK, {"colour": "red"}, False),
        (TASK, {"colour": None}, False),
        (OWN, {"name": "cat"}, True),
        (OWN, {"worker": None}, True),
        (OWN, {"note": None}, True),
        (OWN, {"sum": frozenset({4, 5})}, True),
        (OWN, lambda event: event.data["sum"] > 4, True),
        (OWN, lambda event: event.data["sum"] > 5, False),
    ],
)
def test_what_is_wanted(event: Event, where: Any, wanted: bool) -> None:
    check_where(where)
    assert matches(event, where) is wanted


@pytest.mark.parametrize("where", ["name", 7, ["name"], {1: "x"}])
def test_what_cannot_work_is_refused(where: Any) -> None:
    with pytest.raises(InvalidSetting, match="where must"):
        check_where(where)
