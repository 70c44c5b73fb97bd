from __future__ import annotations

import pickle
import threading
from typing import Any, ClassVar

import pytest

from callboard.flows import Task, WaitForSignal
from callboard.messages.code import restore
from callboard.messages.context import current
from callboard.messages.errors import CannotPickle, DependencyCycle, InvalidTask
from callboard.messages.outcome import Outcome
from callboard.messages.result import TaskResult
from callboard.messages.status import TaskStatus
from callboard.messages.task import Term, WorkKind
from callboard.resilience import RetryPolicy
from tests.flows.conftest import opened


class Add(Task):
    default_provides = "sum"

    def execute(self, a: int, b: int = 10) -> int:
        return a + b


class Ingest(Task):
    def execute(self, data_source: str) -> TaskResult:
        if data_source == "invalid":
            return self.fail("Invalid data source provided.")
        return self.complete(result={"data": data_source})


class Shouting(Task):
    async def execute(self, text: str) -> str:
        return text.upper()


class Configured(Task):
    default_skills: ClassVar = {"oil": 3}
    priority = 7

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def execute(self, x: int) -> int:
        return self.factor * x


class Named(Task):
    name = "a name of its own"


class Below(Named):
    pass


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"processor": 3}, "processor of task 'x' must be a text"),
        ({"processor": ""}, "processor of task 'x'"),
        ({"timeout": -1}, "timeout of task 'x' must be a number of seconds above zero, not -1"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"expires_in": float("nan")}, "expires_in"),
        ({"skills": "oil"}, "skills of task 'x' must be a set of tags"),
        ({"skills": 3}, "skills"),
        ({"skills": {"oil": "much"}}, "the level of 'oil'"),
        ({"skills": {3}}, "each tag in skills"),
        ({"input_data": [1]}, "wrap a single value"),
        ({"dependencies": "abc"}, "several ids or Tasks"),
        ({"dependencies": [3]}, "must be an id or a Task, not 3"),
        ({"id": 7}, "id of task 'x'"),
        ({"priority": "high"}, "priority"),
        ({"retry_policy": 3}, "retry_policy"),
        ({"breaker": 3}, "breaker"),
        ({"version": "1.0"}, "version"),
        ({"idempotent": "yes"}, "idempotent"),
        ({"requires": [1]}, "each name in requires"),
        ({"provides": 5}, "provides"),
    ],
)
def test_what_cannot_work_is_said_at_once(declared: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidTask) as raised:
        Task("x", **declared)
    assert words in str(raised.value)


def test_a_task_that_depends_on_itself_is_a_circle() -> None:
    with pytest.raises(DependencyCycle, match="me -> me"):
        Task("x", id="me", dependencies=["me"])


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidTask, match="name of a task"):
        Task(3)  # type: ignore[arg-type]


def test_a_class_that_declares_nonsense_is_refused() -> None:
    with pytest.raises(InvalidTask, match="timeout of class"):
        type("Bad", (Task,), {"default_timeout": -1})


def test_the_name_defaults_to_the_class() -> None:
    expected = ["Task", "Add", "x", "a name of its own", "a name of its own"]
    assert [Task().name, Add().name, Add("x").name, Named().name, Below().name] == expected


def test_a_class_sets_what_its_constructor_does_not_pass_on() -> None:
    task = Configured(3)
    assert (task.name, task.skills, task.priority, task.provides) == ("Configured", {"oil": 3}, 7, None)
    assert task.run(x=2).output == 6
    assert task.id == task.id


def test_ids_are_stable_and_dependencies_take_tasks_and_ids() -> None:
    first = Task("a")
    assert Task("b", dependencies={first.id}).dependencies == (first.id,)
    assert Task("b", dependencies=[first, "other", first]).dependencies == (first.id, "other")


def test_the_first_submission_has_the_id_of_the_task_and_others_have_fresh_ones() -> None:
    task = Task("x", processor="worker")
    known = task.id
    ids = [task.submission().task_id for _ in range(3)]
    assert ids[0] == known == task.id
    assert len(set(ids)) == 3
    assert not task.submission().given_id


def test_as_a_dependency_it_is_submitted_once_for_each_playground_that_knows_it() -> None:
    task, term, other = Task("x", processor="worker"), Term(), Term()
    first = task.first_submission()
    assert first is not None and first.task_id == task.id and first.origin is task
    assert task.first_submission() is None  # on its way
    task.note_sent(term)
    task.note_sent(other)
    assert task.was_sent_in(term) and not task.was_sent_in(other)
    assert task.first_submission() is None
    other.over = True
    assert task.first_submission() is None
    term.over = True
    again = task.first_submission()
    assert again is not None and again.task_id == task.id
    assert not task.was_sent_in(term) and task.first_submission() is None


def test_what_was_not_sent_after_all_can_be_submitted_as_a_dependency() -> None:
    for submit in (Task.submission, Task.first_submission):
        task = Task("x", processor="worker")
        made = submit(task)
        assert made is not None
        made.withdraw()
        made.withdraw()
        assert task.first_submission() is not None
    unpicklable = Task("x", "worker", {"data": threading.Lock()})
    with pytest.raises(CannotPickle):
        unpicklable.submission()
    unpicklable.input_data = {}
    assert unpicklable.first_submission() is not None


def test_a_given_id_stays_so_that_the_manager_can_refuse_it() -> None:
    task = Task("x", id="mine")
    assert [task.submission().task_id for _ in range(2)] == ["mine", "mine"]
    assert task.submission().given_id


def test_equal_declarations_share_one_spec() -> None:
    made = [Task("a", processor="p", skills={"y": 2, "x": 1}), Task("b", processor="p", skills={"x": 1, "y": 2}, input_data={"n": 1})]
    assert made[0].spec() is made[1].spec()
    assert made[0].spec().skills == (("x", 1), ("y", 2))
    assert Task("a", processor="q").spec() is not made[0].spec()


@pytest.mark.parametrize(
    ("declared", "role"),
    [({}, "python"), ({"skills": {"oil"}}, None), ({"processor": "paint"}, "paint"), ({"processor": "paint", "skills": {"oil"}}, "paint")],
)
def test_whom_a_task_asks_for(declared: dict[str, Any], role: str | None) -> None:
    assert Task(**declared).spec().role == role
    assert Add(**declared).spec().role == role


def test_a_processor_gets_input_and_metadata() -> None:
    submission = Task("x", processor="p", input_data={"data": 1}, metadata={"who": "me"}).submission()
    assert submission.spec.kind is WorkKind.PROCESS
    assert submission.code is None
    assert opened(submission) == ({"data": 1}, {"who": "me"})


def test_a_carried_task_is_rebuilt_from_its_class_and_its_state() -> None:
    task = Configured(5)
    task.input_data = {"x": 2, "unused": 1}
    submission = task.submission()
    assert submission.spec.kind is WorkKind.CARRIED
    assert submission.code is not None and submission.spec.code == submission.code.digest
    made = restore(submission.code.digest, submission.code.blob)
    state, inputs, metadata = opened(submission)
    assert (inputs, metadata) == ({"x": 2}, {})
    instance = made.__new__(made)
    instance.__dict__.update(state)
    assert instance.perform(inputs) == Outcome(True, 10)


def test_missing_inputs_of_a_carried_task_are_named_at_submission() -> None:
    with pytest.raises(InvalidTask, match="needs 'a'"):
        Add().submission()


def test_inputs_come_from_what_dependencies_provide() -> None:
    source = Add("source", provides=("left", "right"))
    task = Add("sum", rebind={"a": "left", "b": "right"}, dependencies=[source])
    state, inputs, _ = opened(task.submission())
    rebuilt = Add.__new__(Add)
    rebuilt.__dict__.update(state)
    done = TaskResult(source.id, "source", TaskStatus.COMPLETED, output=(3, 4))
    assert rebuilt.perform(inputs, {source.id: done}) == Outcome(True, 7)


def test_input_that_cannot_be_pickled_names_the_task() -> None:
    with pytest.raises(CannotPickle, match="input of task 'x'"):
        Task("x", input_data={"data": (n for n in range(3))}).submission()


def test_run_calls_execute_and_tells_how_it_went() -> None:
    assert Ingest(name="in").run(data_source="s3").output == {"data": "s3"}
    failed = Ingest().run(data_source="invalid")
    assert (failed.status, failed.error, failed.failure) == (TaskStatus.FAILED, "Invalid data source provided.", None)
    assert Shouting().run(text="ho").output == "HO"
    raised = Add().run(a="text")
    assert raised.failure is not None and raised.failure.check(TypeError) is TypeError


async def _run_inside_a_loop() -> TaskResult:
    return Shouting().run(text="ho")


def test_run_of_an_async_task_works_inside_a_running_loop() -> None:
    import asyncio

    assert asyncio.run(_run_inside_a_loop()).output == "HO"


class _Notes:
    def __init__(self) -> None:
        self.said: list[Any] = []
        self.attempt = 3
        self.cancelled = False

    def progress(self, fraction: float, text: str = "") -> None:
        self.said.append((fraction, text))

    def emit(self, topic: str, **data: Any) -> None:
        self.said.append((topic, data))


def test_progress_events_and_attempt_go_through_whoever_runs_it() -> None:
    notes, task = _Notes(), Task("x")
    task.update_progress(0.5)  # nobody runs it: nobody is told
    assert task.attempt == 1
    token = current.set(notes)
    try:
        task.update_progress(0.5, "half")
        with pytest.warns(UserWarning, match="outside of 0 to 1"):
            task.update_progress(7)
        task.notify("painted", colour="red")
        assert task.attempt == 3
    finally:
        current.reset(token)
    assert notes.said == [(0.5, "half"), (1.0, ""), ("painted", {"colour": "red"})]


def test_fallback_travels_as_a_value_or_as_a_task() -> None:
    value = Task("x", fallback=[1]).submission().fallback
    assert isinstance(value, bytes) and pickle.loads(value) == [1]
    other = Task("y")
    stand_in = Task("x", fallback=other).submission().fallback
    assert getattr(stand_in, "name", None) == "y"


@pytest.mark.parametrize("said", [{"fallback": 1}, {"retry_policy": RetryPolicy()}, {"skills": {"oil"}}, {"idempotency_key": "k"}])
def test_what_would_mean_nothing_for_a_wait_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(InvalidTask, match=f"runs nothing, so that {next(iter(said))} means nothing for it"):
        WaitForSignal("approved", **said)
