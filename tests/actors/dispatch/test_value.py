"""Values that clients put: kept while a handle, an open task or a rule needs them, and not for longer."""

from __future__ import annotations

import pytest

from callboard.actors.dispatch.command import Assign, Forget
from callboard.actors.dispatch.dispatcher import Dispatcher
from callboard.actors.dispatch.record import WorkerInfo
from callboard.actors.dispatch.value import Values
from callboard.messages.errors import UnknownValue
from callboard.messages.spec import TaskSpec
from callboard.messages.task import PLAIN_ROLE, Submission
from callboard.messages.wire import Ending, Report

SPEC = TaskSpec()


def using(*values: str, fallback: Submission | None = None, task_id: str = "t") -> Submission:
    return Submission(task_id, task_id, SPEC, b"", fallback=fallback, shares=values)


@pytest.fixture
def values() -> Values:
    made = Values()
    made.put("v", "client", b"bytes")
    return made


def test_it_is_kept_until_its_handle_is_gone(values: Values) -> None:
    assert "v" in values and values.packed("v") == b"bytes"
    values.drop("v")
    assert "v" not in values
    assert values.take_gone() == ["v"] and values.take_gone() == []
    values.drop("v")
    assert values.take_gone() == []


def test_open_tasks_keep_it_beyond_that(values: Values) -> None:
    first, second = using("v"), using("v")
    values.use(first)
    values.use(second)
    values.drop("v")
    values.release(first)
    assert "v" in values
    values.release(second)
    assert values.take_gone() == ["v"]


def test_a_fallback_needs_its_values_from_the_beginning(values: Values) -> None:
    task = using(fallback=using("v", task_id="f"))
    values.use(task)
    values.drop("v")
    assert "v" in values
    values.release(task)
    assert "v" not in values


def test_what_is_not_there_is_named_and_nothing_is_taken(values: Values) -> None:
    with pytest.raises(UnknownValue, match="task 't' uses the shared value gone"):
        values.use(using("v", "gone"))
    values.drop("v")
    assert "v" not in values, "the refused task counts for nothing"


def test_a_client_that_goes_drops_its_own_alone(values: Values) -> None:
    values.put("w", "other", b"")
    values.drop_client("client")
    assert "v" not in values and "w" in values


def test_put_again_after_a_reconnect_it_has_a_handle_again(values: Values) -> None:
    task = using("v")
    values.use(task)
    values.drop_client("client")
    values.put("v", "client", b"bytes")
    values.release(task)
    assert "v" in values


def test_the_dispatcher_lets_go_when_the_last_task_has_ended() -> None:
    dispatcher = Dispatcher()
    dispatcher.ledger.values.put("v", "client", b"")
    dispatcher.join(WorkerInfo("w", "w", PLAIN_ROLE), 0.0)
    dispatcher.submit("client", [using("v")], 0.0)
    dispatcher.ledger.values.drop("v")
    [assigned] = dispatcher.flush(0.0)
    assert isinstance(assigned, Assign)
    report = Report(epoch="e", number=1, ids=["t"], fences=[assigned.by_worker["w"][0].fence], endings=[Ending.COMPLETED], micros=[1])
    dispatcher.report("w", report, [b""], 1.0)
    assert Forget(["v"]) in dispatcher.flush(1.0)


def test_the_dispatcher_refuses_a_task_whose_value_is_gone() -> None:
    dispatcher = Dispatcher()
    [(refused, error)] = dispatcher.submit("client", [using("v")], 0.0)
    assert refused.task_id == "t" and isinstance(error, UnknownValue)
    assert dispatcher.drained
