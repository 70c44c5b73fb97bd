from __future__ import annotations

import gc
import pickle
from typing import Any

import pytest

from callboard.flows import FanOutFanInPattern, FunctionTask, MapTask, Task, call_submission, task
from callboard.flows.function import _calls
from callboard.messages.code import restore
from callboard.messages.errors import CannotPickle, InvalidTask
from callboard.messages.task import WorkKind
from tests.flows.conftest import opened


@task(skills={"sums": 2}, provides="total")
def add(a: int, b: int = 1) -> int:
    return a + b


@task
def twice(x: int) -> int:
    return 2 * x


def plain(x: int) -> int:
    return x


def test_a_decorated_function_is_callable_as_before_and_pickles_by_name() -> None:
    assert add(2, b=3) == 5
    assert pickle.loads(pickle.dumps(add)) is add


def test_the_task_of_a_call_is_declared_as_the_function_was() -> None:
    made = add.task(1, b=2)
    assert (made.name, made.skills, made.provides) == ("add", {"sums": 2}, "total")
    submission = made.submission()
    assert submission.spec.kind is WorkKind.CALL
    assert opened(submission) == ((1,), {"b": 2}, {}, ())
    assert submission.code is not None and restore(*submission.code) is add


def test_tasks_among_the_arguments_become_dependencies_and_their_outputs_have_places() -> None:
    source, other = Task("source"), twice.task(3)
    made = add.task(source, b=[1, other, source])
    assert set(made.dependencies) == {source.id, other.id}
    submission = made.submission()
    needs = (((0,), source.id), (("b", 1), other.id), (("b", 2), source.id))
    assert opened(submission) == ((None,), {"b": [1, None, None]}, {}, needs)
    assert submission.dependencies == (source.id, other.id)


def test_arguments_not_given_are_asked_for_by_name() -> None:
    assert add.task(1).signature().names == ("b",)
    assert add.task().binding().required == {"a": "a"}
    assert add.task(1).run(b=5).output == 6


def test_a_call_is_as_good_as_a_task() -> None:
    first, second = call_submission(add, (1,), {}), call_submission(add, (2,), {"b": twice.task(1)})
    assert first.spec is second.spec is add.task(1).submission().spec
    assert first.task_id != second.task_id
    assert len(second.dependencies) == 1
    assert call_submission(plain, (1,), {}).spec.role == "python"
    assert opened(call_submission(len, ([1],), {})) == (([1],), {}, {}, ())


def test_a_function_that_is_gone_is_forgotten() -> None:
    def make() -> int:
        def local() -> None: ...

        call_submission(local, (), {})
        return id(local)

    key = make()
    gc.collect()
    assert key not in _calls


def test_what_is_no_function_or_cannot_travel_is_refused() -> None:
    with pytest.raises(InvalidTask, match="needs a function"):
        call_submission(3, (), {})  # type: ignore[arg-type]
    with pytest.raises(InvalidTask):
        FunctionTask(3)  # type: ignore[arg-type]
    with pytest.raises(InvalidTask, match="cannot mark <class 'str'>"):
        task(str)
    with pytest.raises(TypeError, match="nosuch"):
        task(nosuch=1)(lambda: 1)  # type: ignore[call-overload]
    with pytest.raises(InvalidTask, match="cannot mark"):
        task(len)
    with pytest.raises(InvalidTask, match="timeout of task 'plain'"):
        task(timeout=-1)(plain)
    with pytest.raises(CannotPickle, match="argument of 'plain'"):
        call_submission(plain, ((n for n in [1]),), {})


def test_a_function_can_have_one_that_undoes() -> None:
    undone: list[Any] = []
    made = FunctionTask(plain, revert=lambda result: undone.append(result))
    assert made.reverts and not FunctionTask(plain).reverts
    made.revert(result=3)
    assert undone == [3]


def test_what_is_no_function_and_no_names_is_said_at_once() -> None:
    with pytest.raises(InvalidTask, match="the revert of a FunctionTask is a function, not 5"):
        FunctionTask(plain, revert=5)  # type: ignore[arg-type]
    with pytest.raises(InvalidTask, match="requires of MapTask must be several names"):
        MapTask(abs, None)  # type: ignore[arg-type]
    with pytest.raises(InvalidTask, match="the items of a fan-out are several values"):
        FanOutFanInPattern(abs, None)  # type: ignore[arg-type]
