from __future__ import annotations

from typing import Any

import pytest

from callboard.flows import (
    CompositeTask,
    Flow,
    FunctionTask,
    GraphFlow,
    LinearFlow,
    Task,
    Times,
    UnorderedFlow,
    task,
)
from callboard.flows.compilation import compile_flow
from callboard.messages.errors import (
    AmbiguousDependency,
    DependencyCycle,
    DuplicateAtom,
    InvalidFlow,
    InvalidTask,
    MissingDependencies,
    TypeMismatch,
)
from callboard.resilience import RetryPolicy


class Give(Task):
    def execute(self) -> int:
        return 1


class Take(Task):
    def execute(self, x: Any) -> Any:
        return x


class TakesText(Task):
    def execute(self, x: str) -> str:
        return x


class TakesFloat(Task):
    def execute(self, x: float) -> float:
        return x


class Anything(Task):
    def execute(self, **inputs: Any) -> None: ...


@task
def lone(x: int) -> int:
    return x


def test_missing_inputs_are_all_named() -> None:
    flow = LinearFlow("f").add(Take("a", rebind={"x": "left"}), UnorderedFlow("u").add(Take("b", rebind={"x": "right"})))
    with pytest.raises(MissingDependencies) as raised:
        compile_flow(flow)
    assert raised.value.missing == {"a": ("left",), "b": ("right",)}
    assert "'a' needs 'left'; 'b' needs 'right'" in str(raised.value)
    compile_flow(flow, ["left", "right"])


@pytest.mark.parametrize("kind", [LinearFlow, UnorderedFlow, GraphFlow])
def test_a_name_borne_twice_is_refused(kind: type[Flow]) -> None:
    flow = kind("f").add(Give("a"), LinearFlow("inner").add(Give("a")))
    with pytest.raises(DuplicateAtom, match="two atoms of flow 'f' are called 'a'"):
        compile_flow(flow)


def test_a_cycle_is_told_with_its_way() -> None:
    flow = GraphFlow("f").add(
        Give("start", provides="s"),
        Take("a", rebind={"x": "c"}, provides="a"),
        Take("b", rebind={"x": "a"}, provides="b"),
        Take("c", rebind={"x": "b"}, provides="c"),
    )
    with pytest.raises(DependencyCycle) as raised:
        compile_flow(flow)
    way = raised.value.cycle
    assert way[0] == way[-1] and set(way) == {"a", "b", "c"} and len(way) == 4
    assert " -> ".join(way) in "a -> b -> c -> a -> b -> c"


def test_a_cycle_of_links_is_found_too() -> None:
    a, b = Give("a"), Give("b")
    with pytest.raises(DependencyCycle):
        compile_flow(GraphFlow("f").add(a, b).link(a, b).link(b, a))


def test_a_depth_that_is_none_is_said_at_once() -> None:
    with pytest.raises(InvalidFlow, match="one of all, flow, neighbors, atom, not 'deep'"):
        GraphFlow("f").add(Task("a"), Task("b")).link("a", "b", decider=bool, depth="deep")


def test_two_providers_are_ambiguous_unless_links_say_which() -> None:
    a, b, c = Give("a", provides="x"), Give("b", provides="x"), Take("c")
    flow = GraphFlow("f").add(a, b, c)
    with pytest.raises(AmbiguousDependency, match="'a' and 'b' provide 'x', which 'c' needs"):
        compile_flow(flow)
    compile_flow(flow.link(a, c).link(b, c))


def test_of_several_in_no_order_none_is_meant() -> None:
    flow = LinearFlow("f").add(UnorderedFlow("u").add(Give("a", provides="x"), Give("b", provides="x")), Take("c"))
    with pytest.raises(AmbiguousDependency):
        compile_flow(flow)
    unordered = UnorderedFlow("u").add(Give("a", provides="x"), Give("b", provides="x"))
    compile_flow(LinearFlow("f").add(unordered, Give("c", provides="x"), Take()))


def test_siblings_in_no_order_do_not_feed_each_other() -> None:
    with pytest.raises(MissingDependencies):
        compile_flow(UnorderedFlow("f").add(Give("a", provides="x"), Take("b")))
    with pytest.raises(MissingDependencies):
        compile_flow(LinearFlow("f").add(Take("b"), Give("a", provides="x")))


def test_types_that_cannot_fit_are_refused_before_the_run() -> None:
    with pytest.raises(TypeMismatch, match="task 'a' provides 'x' as int, but task 'b' takes 'x' as str"):
        compile_flow(LinearFlow("f").add(Give("a", provides="x"), TakesText("b")))
    compile_flow(LinearFlow("f").add(Give("a", provides="x"), TakesFloat("b"), Take("c")))


def test_dependencies_by_id_make_an_order() -> None:
    first = Give("first")
    flow = GraphFlow("f").add(Give("second", dependencies=[first]), first)
    plan = compile_flow(flow)
    order = [plan.nodes[node].name for node in plan.order() if plan.nodes[node].kind == 0]
    assert order == ["first", "second"]
    with pytest.raises(InvalidFlow, match="depends on task"):
        compile_flow(LinearFlow("f").add(Give("second", dependencies=[first])))
    with pytest.raises(InvalidFlow, match="depends on task"):
        compile_flow(UnorderedFlow("f").add(first, Give("second", dependencies=[first])))


def test_a_target_leaves_out_what_it_does_not_need() -> None:
    a, b, c = Give("a", provides="x"), Take("b", provides="y"), Give("c")
    flow = GraphFlow("f").add(a, b, c).target(b)
    assert compile_flow(flow).names() == ["a", "b"]
    assert compile_flow(flow.target(None)).names() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"rebind": {"y": "z"}}, "takes no argument 'y'; it takes x"),
        ({"requires": {"y": "z"}}, "takes no argument 'y'"),
        ({"requires": ["y"]}, "requires 'y', which it takes no argument for"),
        ({"inject": {"y": 1}}, "given 'y' by inject"),
    ],
)
def test_names_that_no_argument_takes_are_refused(declared: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidTask, match=words):
        compile_flow(LinearFlow("f").add(Take("t", **declared)), ["x", "y", "z"])


def test_kwargs_take_any_name() -> None:
    plan = compile_flow(LinearFlow("f").add(Anything("t", requires=["a", "b"])), ["a", "b"])
    assert [need.argument for need in plan.nodes[plan.index["t"]].call.needs] == ["a", "b"]


def test_what_is_no_task_cannot_be_added() -> None:
    flow = LinearFlow("f")
    with pytest.raises(InvalidFlow, match=r"write Give\(\.\.\.\)"):
        flow.add(Give)
    with pytest.raises(InvalidFlow, match="FunctionTask"):
        flow.add(len)
    with pytest.raises(InvalidFlow, match="takes tasks and flows, not 3"):
        flow.add(3)
    with pytest.raises(InvalidFlow, match="into itself"):
        flow.add(flow)
    outer = LinearFlow("outer").add(flow)
    with pytest.raises(InvalidFlow, match="into itself"):
        flow.add(outer)
    with pytest.raises(InvalidFlow, match="one task"):
        flow.add(Give("a"), Give("b"), provides="x")
    with pytest.raises(InvalidFlow, match="takes no requires"):
        compile_flow(LinearFlow("g").add(LinearFlow("h"), provides="x"))
    with pytest.raises(InvalidFlow, match="a RetryPolicy is a task's own"):
        LinearFlow("f", retry=RetryPolicy())  # type: ignore[arg-type]
    with pytest.raises(InvalidFlow, match="is not in flow"):
        GraphFlow("f").link("a", "b")


def test_functions_are_added_as_tasks() -> None:
    plan = compile_flow(LinearFlow("f").add(lone, FunctionTask(lone, name="other")), ["x"])
    assert plan.names() == ["lone", "other"]


def test_a_controller_is_called_after_its_flow() -> None:
    assert compile_flow(LinearFlow("f", retry=Times(2)).add(Give())).names() == ["f_retry", "Give"]


def test_a_composite_has_parts_of_its_own() -> None:
    made = CompositeTask("c").add_task(Give("a"), provides="x").add_task(Take("b"))
    assert compile_flow(LinearFlow("f").add(made)).names() == ["a", "b"]
    with pytest.raises(InvalidTask, match="hand it to an executor"):
        made.execute()
    with pytest.raises(InvalidTask, match="must be a function"):
        made.add_task(Give("c"), when=3)  # type: ignore[arg-type]


def test_many_layers_of_flows_compile() -> None:
    flow: Flow = LinearFlow("inner").add(Give("deep", provides="x"))
    for depth in range(50):
        flow = (LinearFlow, UnorderedFlow, GraphFlow)[depth % 3](f"f{depth}").add(flow)
    assert compile_flow(LinearFlow("all").add(flow, Take("t"))).names() == ["deep", "t"]


def test_what_a_composite_renames_is_there_to_be_renamed() -> None:
    def made(**given: Any) -> LinearFlow:
        return LinearFlow("f").add(CompositeTask("c").add_task(Task("a", requires={"x": "x"}, provides="y")), **given)

    with pytest.raises(InvalidFlow, match=r"provides of task 'c', which is made of tasks, is \{name inside: name outside\}, not 'z'"):
        compile_flow(made(provides="z"), ["x"])
    with pytest.raises(InvalidFlow, match="task 'c' hands out 'odd' under another name, but no part of it provides that"):
        compile_flow(made(provides={"odd": "z"}), ["x"])
    with pytest.raises(InvalidFlow, match="task 'c' takes in 'odd' under another name, but no part of it needs that"):
        compile_flow(made(requires={"odd": "x"}), ["x"])
    compile_flow(made(requires={"x": "w"}, provides={"y": "z"}), ["w"])


def test_what_is_given_by_position_alone_has_no_name_to_be_found_by() -> None:
    def power(base: int, exponent: int = 2, /, scale: int = 1) -> int:
        return scale * int(base**exponent)

    with pytest.raises(InvalidTask, match="task 'power' takes base by position alone"):
        compile_flow(LinearFlow("f").add(FunctionTask(power)), ["base"])
    given = FunctionTask(power, 3, 2)
    assert given.signature().optional == ("scale",)
    compile_flow(LinearFlow("f").add(given))
