"""Tasks that wait for tasks: order, values, functions, cycles, and what follows from a failure."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from callboard import (
    BacklogFull,
    CannotPickle,
    DependencyCycle,
    InvalidTask,
    Playground,
    ProcessRequest,
    SyncExecutor,
    Task,
    TaskStatus,
    UnknownDependency,
    task,
)
from callboard.flows import LinearFlow
from callboard.flows.function import FunctionTask
from callboard.messages.task import fresh_id
from tests.playground.crew import Noting, Tally


class Math(Noting):
    """Does arithmetic on its data, or on what its dependencies gave."""

    def work(self, request: ProcessRequest) -> Any:
        given = [result.output for result in request.dependency_data.values()]
        match request.task_type:
            case "times five":
                return request.data * 5
            case "sum":
                return sum(value if isinstance(value, int) else sum(value) for value in given)
            case "plus one":
                return [value + 1 for value in request.data]
            case "square":
                return [value * value for value in given[0]]
            case "fail":
                raise ValueError("this one fails")
        return request.data


ROLES = ("times five", "sum", "plus one", "square", "fail", "echo")


@pytest.fixture(scope="module")
def stage(module_tally: Tally) -> Iterator[Playground]:
    crew: list[Any] = [Math(role, role, tally=module_tally) for role in ROLES]
    with Playground().play(workers=crew) as playground:
        yield playground


@pytest.fixture(scope="module")
def plain() -> Iterator[Playground]:
    with Playground().play(workers=2) as playground:
        yield playground


# -- with processors ----------------------------------------------------------------------------


def test_the_sum_may_be_submitted_first(stage: Playground, module_tally: Tally) -> None:
    five, ten = (Task(f"{value}", "times five", {"data": value}) for value in (5, 10))
    total = Task("total", "sum", dependencies={five.id, ten.id})
    handles = [stage.submit(each) for each in (total, five, ten)]
    assert [handle.result(20).output for handle in handles] == [75, 25, 50]
    module_tally.once(handles)


def test_what_a_dependent_is_given(stage: Playground) -> None:
    first, second = Task("first", "echo", {"data": "one"}), Task("second", "echo", {"data": {"deep": [1]}})
    handles = [stage.submit(each) for each in (first, second)]
    third = FunctionTask(lambda a, b: (a, b), first, second)
    assert third.dependencies == (first.id, second.id)
    [handle.result(20) for handle in handles]
    look = stage.submit(Task("look", "sum", dependencies=[first, second.id, first.id])).result(20)
    assert look.status is TaskStatus.FAILED  # strings cannot be summed, but the worker had both


def test_a_pipeline_over_three_roles(stage: Playground, module_tally: Tally) -> None:
    prepared = Task("prepare", "plus one", {"raw_data": [1, 2, 3], "data": [1, 2, 3]})
    squared = Task("square", "square", dependencies={prepared.id})
    summed = Task("sum", "sum", dependencies=[squared])
    handles = [stage.submit(each) for each in (summed, squared, prepared)]
    assert handles[0].result(20).output == 29
    assert handles[1].result(20).output == [4, 9, 16]
    module_tally.once(handles)


def test_a_pipeline_awaited_one_by_one_as_the_tutorial_does() -> None:
    async def main() -> list[Any]:
        async with Playground().play(workers=[Math("a", "plus one"), Math("b", "square"), Math("c", "sum")]) as playground:
            prep = Task(name="Data Preparation", processor="plus one", input_data={"data": [1, 2, 3]})
            process = Task(name="Data Processing", processor="square", dependencies={prep.id})
            aggregate = Task(name="Result Aggregation", processor="sum", dependencies={process.id})
            return [(await playground.add_and_execute_task(each)).output for each in (prep, process, aggregate)]

    assert asyncio.run(main()) == [[2, 3, 4], [4, 9, 16], 29]


@pytest.mark.parametrize("forwards", [True, False])
def test_a_chain_of_five_hundred(stage: Playground, module_tally: Tally, forwards: bool) -> None:
    chain = [Task("link 0", "times five", {"data": 1})]
    for number in range(1, 500):
        chain.append(Task(f"link {number}", "sum", dependencies=[chain[-1]]))
    handles = {each.id: stage.submit(each) for each in (chain if forwards else reversed(chain))}
    assert handles[chain[-1].id].result(40).output == 5
    module_tally.once(handles.values())


def test_a_diamond(stage: Playground, module_tally: Tally) -> None:
    top = Task("top", "echo", {"data": 3})
    sides = [Task(f"side {number}", "sum", dependencies=[top]) for number in range(4)]
    bottom = Task("bottom", "sum", dependencies=sides)
    handles = [stage.submit(each) for each in (bottom, *sides, top)]
    assert handles[0].result(20).output == 12
    module_tally.once(handles)


def test_an_id_that_is_not_known_yet_waits(stage: Playground) -> None:
    later = fresh_id()
    handle = stage.submit(Task("eager", "sum", dependencies=[later]))
    assert handle.status is TaskStatus.PENDING
    assert later in stage.explain(handle.task_id) and "nobody has submitted it" in stage.explain(handle.task_id)
    stage.submit(Task("late", "times five", {"data": 2}, id=later))
    assert handle.result(20).output == 10


def test_a_dependency_that_ended_long_ago_is_still_there(stage: Playground) -> None:
    old = stage.submit(Task("old", "times five", {"data": 4}))
    assert old.result(20).output == 20
    assert stage.submit(Task("new", "sum", dependencies=[old.task_id])).result(20).output == 20


# -- failures -----------------------------------------------------------------------------------


def test_dependents_of_a_failed_task_are_skipped_and_name_it(stage: Playground, module_tally: Tally) -> None:
    failing = Task("broken", "fail")
    child = Task("child", "sum", dependencies=[failing])
    grandchild = Task("grandchild", "sum", dependencies=[child])
    other = Task("other", "echo", {"data": 1})
    handles = [stage.submit(each) for each in (grandchild, child, failing, other)]
    results = {handle.name: handle.result(20) for handle in handles}
    assert results["broken"].status is TaskStatus.FAILED and results["other"].success
    assert results["child"].status is TaskStatus.SKIPPED and results["child"].attempts == 0
    assert "broken" in str(results["child"].error) and failing.id in str(results["child"].error)
    assert results["grandchild"].status is TaskStatus.SKIPPED and "child" in str(results["grandchild"].error)
    counts = module_tally.counts()
    assert counts[child.id] == counts[grandchild.id] == 0
    late = stage.submit(Task("late", "sum", dependencies=[failing.id])).result(20)
    assert late.status is TaskStatus.SKIPPED and "broken" in str(late.error)


def test_one_failed_of_many_dependencies_skips_at_once(stage: Playground) -> None:
    never = fresh_id()
    failing = Task("broken", "fail")
    handle = stage.submit(Task("both", "sum", dependencies=[never, failing]))
    stage.submit(failing)
    assert handle.result(20).status is TaskStatus.SKIPPED


def test_a_cancelled_dependency_skips_too(stage: Playground) -> None:
    waiting = stage.submit(Task("waiting", "sum", dependencies=[fresh_id()]))
    child = stage.submit(Task("child", "sum", dependencies=[waiting.task_id]))
    assert waiting.cancel()
    assert waiting.result(20).status is TaskStatus.CANCELLED
    assert (
        child.result(20).status is TaskStatus.SKIPPED
        and "waiting" in str(child.result().error)
        and "cancelled" in str(child.result().error)
    )


# -- circles ------------------------------------------------------------------------------------


def test_a_task_cannot_depend_on_itself(stage: Playground) -> None:
    own = fresh_id()
    with pytest.raises((InvalidTask, DependencyCycle), match=r"itself|cycle"):
        stage.submit(Task("selfish", "sum", id=own, dependencies=[own]))


@pytest.mark.parametrize("size", [2, 3, 50])
def test_a_circle_is_refused_and_named(stage: Playground, size: int) -> None:
    ids = [f"circle-{size}-{number}-{fresh_id()}" for number in range(size)]
    handles = [stage.submit(Task(f"{n}", "sum", id=ids[n], dependencies=[ids[n + 1]])) for n in range(size - 1)]
    with pytest.raises(DependencyCycle) as caught:
        stage.submit(Task("last", "sum", id=ids[-1], dependencies=[ids[0]]))
    circle = caught.value.cycle
    assert circle[0] == circle[-1] and sorted(circle[:-1]) == sorted(ids)
    assert all(text in str(caught.value) for text in ids)
    # The others go on waiting, for one that may still come.
    assert handles[0].status is TaskStatus.PENDING
    stage.submit(Task("last", "times five", {"data": 1}, id=ids[-1]))
    assert handles[0].result(20).output == 5


# -- functions ----------------------------------------------------------------------------------


@task
def number(value: int) -> int:
    return value


@task
def total(*values: int, extra: int = 0) -> int:
    return sum(values) + extra


def test_tasks_among_a_functions_arguments_arrive_as_their_outputs(plain: Playground) -> None:
    one, two = number.task(1), number.task(2)
    whole = total.task(one, two, 10, extra=one)
    handles = [plain.submit(each) for each in (whole, one, two)]
    assert [handle.result(20).output for handle in handles] == [14, 1, 2]
    assert total(1, 2) == 3


@task
def summed(values: list[int], more: dict[str, int]) -> int:
    return sum(values) + sum(more.values())


def test_so_do_tasks_directly_in_a_list_or_dict_that_is_an_argument(plain: Playground) -> None:
    one, two = number.task(1), number.task(2)
    whole = summed.task([one, two, 10], more={"again": one, "plain": 100})
    assert set(whole.dependencies) == {one.id, two.id}
    assert plain.submit(whole).result(20).output == 114
    flow = LinearFlow("sums").add(one, summed.task([one, 10], more={"again": one}))
    assert SyncExecutor().execute(flow).output == 12


def test_a_task_is_submitted_together_with_the_tasks_among_its_arguments(plain: Playground) -> None:
    handle = plain.submit(total.task(number.task(1), number.task(2)))
    assert handle.result(20).output == 3


def test_nested_functions_of_three_levels(plain: Playground) -> None:
    leaves = [number.task(value) for value in range(4)]
    halves = [total.task(*leaves[:2]), total.task(*leaves[2:])]
    handles = [plain.submit(each) for each in (total.task(*halves), *halves, *leaves)]
    assert handles[0].result(20).output == 6


def test_the_executor_takes_tasks_as_arguments_too(plain: Playground) -> None:
    one = number.task(5)
    executor: Any = plain.executor  # whose types know nothing of tasks among the arguments
    future = executor.submit(lambda value, more: value + more, one, more=2)
    plain.submit(one)
    assert future.result(20) == 7


def test_the_executor_takes_tasks_in_lists_tuples_and_dicts_too(plain: Playground) -> None:
    executor: Any = plain.executor
    alone = executor.submit(lambda values: values, [number.task(1), "x"])
    mixed = executor.submit(
        lambda *args, **kwargs: (args, kwargs), number.task(2), [number.task(3)], pair=(1, number.task(4)), named={"a": number.task(5)}
    )
    assert alone.result(20) == [1, "x"]
    assert mixed.result(20) == ((2, [3]), {"pair": (1, 4), "named": {"a": 5}})


def test_a_failed_argument_skips_the_call(plain: Playground) -> None:
    broken = FunctionTask(lambda: 1 / 0, name="divide")
    handle = plain.submit(total.task(broken))
    plain.submit(broken)
    result = handle.result(20)
    assert result.status is TaskStatus.SKIPPED and "divide" in str(result.error)


def test_task_classes_find_their_inputs_among_what_dependencies_provide(plain: Playground) -> None:
    class Load(Task):
        default_provides = "page"

        def execute(self) -> str:
            return "text"

    class Count(Task):
        def execute(self, page: str, times: int = 2) -> int:
            return len(page) * times

    load = Load()
    handles = [plain.submit(each) for each in (Count(dependencies=[load]), load)]
    assert handles[0].result(20).output == 8


def test_a_graph_of_many_tasks_that_end_before_the_last_are_submitted(plain: Playground) -> None:
    chance = random.Random(1)
    made = [total.task(1)]
    for number in range(1, 15_000):
        made.append(total.task(made[chance.randrange(number)]))
    handles = [plain.submit(each) for each in made]
    assert {handle.result(60).output for handle in handles} == {1}


def test_a_task_of_a_playground_that_has_ended_runs_again_for_those_that_depend_on_it() -> None:
    one = number.task(1)
    for _ in range(2):
        with Playground().play(workers=1) as stage:
            assert stage.submit(total.task(one, 2)).result(20).output == 3
    with Playground().play(workers=1) as stage:
        assert stage.submit(one).result(20).output == 1
        deep = total.task(total.task(one, 1), one)
        assert stage.submit(deep).result(20).output == 3


def test_what_depends_on_a_task_that_is_remembered_no_longer_fails_and_says_so() -> None:
    with Playground().play(workers=1) as stage:
        session = stage._session
        assert session is not None and session.manager is not None
        session.manager.dispatcher.ledger.archive.history = 3
        old, other = number.task(1), number.task(2)
        assert stage.submit(old).result(20).success
        for value in range(600):
            stage.submit(number.task(value)).result(20)
        late = stage.submit(total.task(old, other)).result(20)
        assert late.status is TaskStatus.FAILED and late.failure is not None and late.failure.type_name == "OutputReleased"
        assert f"depends on {old.id!r}, which ended too long ago to be remembered" in str(late.error)
        waits = stage.submit(Task("waits", dependencies=["nobody", old.id]))  # for an id, which anybody may submit yet
        assert not waits.done() and waits.cancel()


class Letter(Task):
    """Has attributes of its own whose names are near at hand."""

    sent = withdrawn = known = False

    def execute(self) -> str:
        return f"{self.sent} {self.withdrawn} {self.known}"


def test_what_a_task_class_calls_its_own_attributes_does_not_matter(plain: Playground) -> None:
    letter = Letter()
    letter.sent = True
    assert plain.submit(FunctionTask(str.upper, letter)).result(20).output == "TRUE FALSE FALSE"
    assert plain.submit(FunctionTask(str.lower, letter)).result(20).output == "true false false"


def test_a_task_that_was_refused_can_still_be_depended_on(plain: Playground) -> None:
    one = number.task(1)
    with Playground(max_backlog=1, when_full="raise").play(workers=0) as stage:
        open_task = stage.submit(Task("open"))
        with pytest.raises(BacklogFull):
            stage.submit(one)
        with pytest.raises(BacklogFull):
            stage.submit(total.task(one, 1))
        open_task.cancel()
    assert plain.submit(total.task(one, 1)).result(20).output == 2
    two = number.task(2)
    with pytest.raises(CannotPickle):
        plain.fan_out("pair", [two, number.task(threading.Lock())])
    assert plain.submit(total.task(two, 1)).result(20).output == 3
    three = number.task(3)
    rule = plain.on("never.happens", start=three)
    assert plain.submit(total.task(three, 1)).result(20).output == 4
    rule.cancel()


class Spoilt:
    """Can be pickled, and not be loaded again."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("none",)


class Take(Task):
    """Takes what its dependency gave, if that provides it by this name."""

    def execute(self, thing: Any = "nothing") -> Any:
        return thing


@pytest.mark.parametrize("form", ["function", "class"])
def test_an_output_that_cannot_be_loaded_fails_who_takes_it_and_nobody_else(plain: Playground, form: str) -> None:
    spoilt = FunctionTask(Spoilt, name="spoil", provides="thing")
    taker = total.task(spoilt, 1) if form == "function" else Take(dependencies=[spoilt])
    result = plain.submit(taker).result(20)
    assert result.status is TaskStatus.FAILED
    assert "'spoil'" in str(result.error) and "the output cannot be loaded here: ValueError" in str(result.error)
    spoilt = FunctionTask(Spoilt, name="spoil", provides="other")
    assert plain.submit(Take(dependencies=[spoilt])).result(20).output == "nothing"


# -- the end ------------------------------------------------------------------------------------


def test_the_end_of_the_block_fails_what_waits_for_an_id_that_nobody_submitted() -> None:
    with Playground().play(workers=[Math("solo", "sum")]) as stage:
        handle = stage.submit(Task("waits", "sum", dependencies=["never-submitted", "nor-this"]))
        child = stage.submit(Task("child", "sum", dependencies=[handle.task_id]))
        fine = stage.submit(Task("fine", "sum"))
    result = handle.result()
    assert result.failure is not None and result.failure.check(UnknownDependency)
    assert "never-submitted" in str(result.error) and "nor-this" in str(result.error)
    assert child.result().status is TaskStatus.SKIPPED and fine.result().output == 0


# -- tasks that are only named ------------------------------------------------------------------


def test_submitting_a_named_task_afterwards_does_not_run_it_twice(stage: Playground, module_tally: Tally) -> None:
    five, ten = Task("five", "times five", {"data": 5}), Task("ten", "times five", {"data": 10})
    total_handle = stage.submit(Task("total", "sum", dependencies=[five, ten]))
    handles = [stage.submit(ten), total_handle, stage.submit(five)]
    assert [handle.result(20).output for handle in handles] == [50, 75, 25]
    assert [handle.task_id for handle in handles[::2]] == [ten.id, five.id]
    module_tally.once(handles)
    again = stage.submit(five)  # from here on it is a submission of its own
    assert again.task_id != five.id and again.result(20).output == 25


def test_a_named_task_that_was_submitted_before_is_not_submitted_again(stage: Playground, module_tally: Tally) -> None:
    five = Task("five", "times five", {"data": 5})
    first = stage.submit(five)
    sums = [stage.submit(Task("sum", "sum", dependencies=[five])) for _ in range(3)]
    assert [handle.result(20).output for handle in sums] == [25, 25, 25]
    module_tally.once([first, *sums])


def test_tasks_named_a_thousand_deep(plain: Playground) -> None:
    nested = number.task(1)
    for _ in range(1000):
        nested = total.task(nested, 1)
    assert plain.submit(nested).result(40).output == 1001


def test_named_tasks_go_along_with_a_fan_out_and_the_executor(plain: Playground) -> None:
    assert plain.fan_out(total, [number.task(1), number.task(2)], join=sum).result(20).output == 3
    executor: Any = plain.executor
    assert executor.submit(total, number.task(4), extra=number.task(3)).result(20) == 7
    one = number.task(1)
    assert list(plain.executor.map(total, [one, one], [number.task(1), 5])) == [2, 6]


def test_a_named_task_with_an_id_of_its_own(stage: Playground) -> None:
    chosen = f"chosen-{fresh_id()}"
    five = Task("five", "times five", {"data": 5}, id=chosen)
    assert stage.submit(Task("sum", "sum", dependencies=[five])).result(20).output == 25
    assert stage.submit(five).task_id == chosen


def test_a_named_task_that_cannot_be_pickled_is_refused_with_the_one_that_names_it(stage: Playground) -> None:
    broken = Task("broken", "times five", {"data": (x for x in "text")})
    for _ in range(2):
        with pytest.raises(CannotPickle, match="broken"):
            stage.submit(Task("sum", "sum", dependencies=[broken]))
