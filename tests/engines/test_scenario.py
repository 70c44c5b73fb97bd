"""The scenarios that every executor has to master alike."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from callboard.engines import Executor, ParallelExecutor, run
from callboard.flows import (
    Depth,
    Flow,
    FlowStatus,
    ForEach,
    FunctionTask,
    GraphFlow,
    LinearFlow,
    ParameterizedForEach,
    Task,
    Times,
    UnorderedFlow,
)
from callboard.messages.failure import Failure
from tests.engines.conftest import ELSEWHERE, Heard


class Provide(Task):
    def __init__(self, *values: int, **declared: Any) -> None:
        super().__init__(**declared)
        self.values = values

    def execute(self) -> tuple[int, ...]:
        return self.values


class Add(Task):
    def execute(self, x: int, y: int) -> int:
        return x + y


class Multiply(Task):
    def __init__(self, name: str, factor: int, **declared: Any) -> None:
        super().__init__(name, **declared)
        self.factor = factor

    def execute(self, z: int) -> int:
        return z * self.factor


def test_names_are_bound_anew_along_a_line(executor: Executor) -> None:
    flow = LinearFlow("calculate").add(
        Provide(2, 3, 5, name="given", provides=("x", "y", "d")),
        Add("sum", provides="z"),
        Add("sum again", rebind={"x": "z", "y": "d"}, provides="a"),
        Multiply("times three", 3, rebind={"z": "a"}, provides="r"),
    )
    result = executor.execute(flow)
    assert result.outputs == {"x": 2, "y": 3, "d": 5, "z": 5, "a": 10, "r": 30}
    assert (result.output, result.status, result.is_completed()) == (30, FlowStatus.COMPLETED, True)


def test_a_graph_is_inferred_from_names_given_in_any_order(executor: Executor, heard: Heard) -> None:
    def adder(name: str, left: str, right: str) -> Add:
        return Add(name, rebind=(left, right), provides=name)

    flow = GraphFlow("graph").add(
        adder("x7", "x6", "x6"),
        LinearFlow("nested").add(adder("x6", "x5", "x4"), Add("spare", rebind=("x6", "x5"), provides="spare")),
        adder("x5", "x1", "x3"),
        adder("x4", "x2", "y5"),
        adder("x3", "x1", "x2"),
        adder("x1", "y1", "y2"),
        adder("x2", "y3", "y4"),
    )
    result = executor.execute(flow, {"y1": 1, "y2": 3, "y3": 5, "y4": 7, "y5": 9})
    found = {name: result.outputs[name] for name in ("x1", "x2", "x3", "x4", "x5", "x6", "x7")}
    assert found == {"x1": 4, "x2": 12, "x3": 16, "x4": 21, "x5": 20, "x6": 41, "x7": 82}
    order = [(state, name) for state, name, _ in heard.words]
    for consumer, producers in {"x7": ["x6"], "x6": ["x5", "x4"], "x5": ["x1", "x3"], "x4": ["x2"], "x3": ["x1", "x2"]}.items():
        for producer in producers:
            assert order.index(("completed", producer)) < order.index(("running", consumer))


def test_what_is_in_the_middle_runs_side_by_side(executor: Executor, heard: Heard) -> None:
    flow = LinearFlow("parallel middle").add(
        Provide(2, 3, 5, 8, name="given", provides=("a", "b", "c", "d")),
        UnorderedFlow("sums").add(Add("one", rebind=("a", "b"), provides="z1"), Add("two", rebind=("c", "d"), provides="z2")),
        Add("all", rebind=("z1", "z2"), provides="r"),
    )
    result = executor.execute(flow)
    assert (result.outputs["z1"], result.outputs["z2"], result.outputs["r"]) == (5, 13, 18)
    order = [(state, name) for state, name, _ in heard.words]
    assert max(order.index(("completed", "one")), order.index(("completed", "two"))) < order.index(("running", "all"))


class Sum(Task):
    def execute(self, numbers: range) -> int:
        return sum(numbers)


class Total(Task):
    def execute(self, **parts: int) -> int:
        return sum(parts.values())


def test_map_and_reduce(executor: Executor, heard: Heard) -> None:
    chunks = {f"chunk{n}": range(n * 1000, (n + 1) * 1000) for n in range(10)}
    mappers = [Sum(f"map{n}", rebind={"numbers": f"chunk{n}"}, provides=f"part{n}") for n in range(10)]
    reducer = Total("reduce", requires=[f"part{n}" for n in range(10)], provides="total")
    result = executor.execute(LinearFlow("reduce").add(UnorderedFlow("map").add(*mappers), reducer), chunks)
    assert result.outputs["total"] == 49995000
    running = most = 0
    for state, name, _ in heard.words:
        if name.startswith("map") and state in ("running", "completed"):
            running += 1 if state == "running" else -1
            most = max(most, running)
    if isinstance(executor, ParallelExecutor):
        assert most <= executor.max_workers


class Distance(Task):
    def execute(self, a: tuple[float, float] = (0, 0), b: tuple[float, float] = (0, 0)) -> float:
        return math.dist(a, b)


@pytest.mark.parametrize(
    ("inject", "store", "expected"),
    [
        (None, {}, 0.0),
        (None, {"a": (1, 1)}, 1.4142),
        (None, {"a": (10, 10)}, 14.1421),
        (None, {"a": (5, 5), "b": (10, 10)}, 7.0711),
        ({"a": (10, 10)}, {"b": (10, 10)}, 0.0),
        ({"a": (10, 10)}, {}, 14.1421),
    ],
)
def test_optional_arguments(executor: Executor, inject: Mapping[str, Any] | None, store: dict[str, Any], expected: float) -> None:
    result = executor.execute(LinearFlow("distance").add(Distance(inject=inject, provides="distance")), store)
    assert round(result.outputs["distance"], 4) == expected


class Undoable(Task):
    """Tells of what it undoes, by an event, since a list would stay in its process."""

    default_provides = "last"

    def execute(self) -> str:
        return f"{self.name} done"

    def revert(self, result: Any, flow_failures: Mapping[str, Failure]) -> None:
        shown = str(result) if isinstance(result, Failure) else result
        self.notify("undone", name=self.name, result=shown, failures=sorted(flow_failures))


class Breaks(Undoable):
    def execute(self) -> str:
        raise OSError(f"{self.name} broke")


def test_a_failure_reverts_what_was_done_in_reverse(executor: Executor, heard: Heard) -> None:
    flow = LinearFlow("reverting").add(
        Undoable("A", provides="a"), Undoable("B", provides="b"), Breaks("C", provides="c"), Undoable("D", provides="d")
    )
    result = executor.execute(flow)
    assert result.status is FlowStatus.REVERTED
    undone = [(said["name"], said["result"]) for said in heard.said("undone")]
    assert undone == [("C", "OSError: C broke"), ("B", "B done"), ("A", "A done")]
    assert {tuple(said["failures"]) for said in heard.said("undone")} == {("C",)}
    assert heard.of("reverted") == ["C", "B", "A"]
    assert "D" not in heard.of("running")
    assert result.outputs == {}
    with pytest.raises(OSError, match=r"^C broke$"):
        result.unwrap()


class Only(Task):
    def __init__(self, wanted: int, **declared: Any) -> None:
        super().__init__(**declared)
        self.wanted = wanted

    def execute(self, value: int) -> int:
        self.notify("tried", value=value)
        if value != self.wanted:
            raise ValueError(f"{value} is wrong")
        return value

    def revert(self, value: int, result: Failure) -> None:
        self.notify("undone", value=value, why=result.message)


@pytest.mark.parametrize("parameterized", [False, True])
def test_a_flow_is_tried_with_one_value_after_the_other(executor: Executor, heard: Heard, parameterized: bool) -> None:
    values = [333, 444, 555, 666]
    retry = ParameterizedForEach(rebind={"values": "numbers"}, provides="value") if parameterized else ForEach(values, provides="value")
    result = executor.execute(LinearFlow("alternatives", retry=retry).add(Only(555, name="only")), {"numbers": values})
    assert result.status is FlowStatus.COMPLETED
    assert [said["value"] for said in heard.said("tried")] == [333, 444, 555]
    assert [said["value"] for said in heard.said("undone")] == [333, 444]
    assert result.outputs == {"value": 555}
    assert result.failures == {}


def test_times_counts_all_runs(executor: Executor, heard: Heard) -> None:
    result = executor.execute(LinearFlow("again", retry=Times(3, provides="value")).add(Only(99, name="only")))
    assert result.status is FlowStatus.REVERTED
    assert [said["value"] for said in heard.said("tried")] == [1, 2, 3]
    assert [said["value"] for said in heard.said("undone")] == [1, 2, 3]


class FailsWith(Task):
    def __init__(self, name: str, kind: type[Exception]) -> None:
        super().__init__(name)
        self.kind = kind

    def execute(self) -> None:
        raise self.kind(self.name)

    def revert(self, result: Failure) -> None:
        self.notify("undone", name=self.name)


class Meets(FailsWith):
    """Fails only when the other one has begun, so that both do."""

    def __init__(self, name: str, kind: type[Exception], folder: str, other: str) -> None:
        super().__init__(name, kind)
        self.folder, self.other = folder, other

    def execute(self) -> None:
        Path(self.folder, self.name).touch()
        while not Path(self.folder, self.other).exists():
            time.sleep(0.005)
        raise self.kind(self.name)


def test_several_failures_come_as_a_group_and_one_as_itself(executor: Executor, heard: Heard, kind: str, tmp_path: Any) -> None:
    alone = executor.execute(UnorderedFlow("one").add(FailsWith("left", ValueError), Undoable("right")))
    with pytest.raises(ValueError, match=r"^left$"):
        alone.unwrap()
    if kind == "sync":
        return
    folder = str(tmp_path)
    both = executor.execute(UnorderedFlow("two").add(Meets("left", KeyError, folder, "right"), Meets("right", OSError, folder, "left")))
    assert both.status is FlowStatus.REVERTED
    with pytest.raises(ExceptionGroup) as raised:
        both.unwrap()
    assert raised.group_contains(KeyError) and raised.group_contains(OSError)
    assert sorted([said["name"] for said in heard.said("undone")][-2:]) == ["left", "right"]


class Note(Task):
    def execute(self) -> str:
        return self.name


def test_a_decider_ignores_what_it_says_no_to(executor: Executor, heard: Heard) -> None:
    seen = []

    def never(history: Mapping[str, Any]) -> bool:
        seen.append(dict(history))
        return False

    a, b = Note("a"), FailsWith("b", ValueError)
    result = executor.execute(GraphFlow("switch").add(a, b).link(a, b, decider=never))
    assert (result.status, seen) == (FlowStatus.COMPLETED, [{"a": "a"}])
    assert heard.of("ignored") == ["b"]


@pytest.mark.parametrize(
    ("depth", "ran"),
    [(Depth.ALL, {"a"}), (Depth.FLOW, {"a", "i1"}), (Depth.NEIGHBORS, {"a", "d", "i1"}), (Depth.ATOM, {"a", "c", "d", "i1"})],
)
def test_a_no_reaches_as_deep_as_was_said(executor: Executor, heard: Heard, depth: Depth, ran: set[str]) -> None:
    a, b, c, d = (Note(name) for name in "abcd")
    nested = LinearFlow("nested").add(Note("i1"))
    flow: Flow = GraphFlow("depth").add(a, b, c, d, nested)
    assert isinstance(flow, GraphFlow)
    flow.link(a, b, decider=lambda history: False, depth=depth).link(b, c).link(c, d).link(b, nested)
    assert executor.execute(flow).is_completed()
    assert set(heard.of("completed")) - {"depth"} == ran


def test_a_later_failure_reverts_over_what_was_ignored(executor: Executor, heard: Heard) -> None:
    a, b, c = Undoable("a", provides="x"), Undoable("b", provides="y"), Breaks("c", provides="z")
    flow = GraphFlow("over").add(a, b, c).link(a, b, decider=lambda history: False, depth=Depth.ATOM).link(b, c)
    assert executor.execute(flow).status is FlowStatus.REVERTED
    assert [said["name"] for said in heard.said("undone")] == ["c", "a"]


class Alphabet(Task):
    def execute(self) -> None:
        for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
            self.notify("letter", letter=letter)


def test_events_of_an_atom_arrive_in_order(executor: Executor, heard: Heard) -> None:
    assert executor.execute(LinearFlow("events").add(Alphabet())).is_completed()
    assert "".join(said["letter"] for said in heard.said("letter")) == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def build(**parts: str) -> dict[str, str]:
    return parts


def verify(spec: dict[str, str], frame: str, engine: str, doors: int) -> None:
    made = {"frame": frame, "engine": engine, "doors": doors}
    if made != spec:
        raise AssertionError(f"{made} is not {spec}")


class Part(Undoable):
    def __init__(self, name: str, value: Any) -> None:
        super().__init__(name, provides=name)
        self.value = value

    def execute(self) -> Any:
        return self.value


@pytest.mark.parametrize("doors", [2, 6])
def test_a_car_that_is_not_as_specified_is_taken_apart(executor: Executor, heard: Heard, doors: int) -> None:
    flow = LinearFlow("make a car").add(
        Undoable("startup", provides="started"),
        UnorderedFlow("parts").add(Part("frame", "steel"), Part("engine", "electric"), Part("doors", doors)),
        FunctionTask(verify),
    )
    result = executor.execute(flow, {"spec": {"frame": "steel", "engine": "electric", "doors": 2}})
    undone = [said["name"] for said in heard.said("undone")]
    if doors == 2:
        assert (result.status, undone) == (FlowStatus.COMPLETED, [])
    else:
        assert result.status is FlowStatus.REVERTED
        assert sorted(undone[:3]) == ["doors", "engine", "frame"] and undone[3:] == ["startup"]


class Bill(Task):
    def execute(self) -> str:
        for step in range(11):
            self.update_progress(step / 10, f"step {step}")
        return "billed"


def test_progress_is_heard_from_0_to_1(executor: Executor, heard: Heard) -> None:
    assert executor.execute(LinearFlow("billing").add(Bill())).output == "billed"
    fractions = [said["progress"] for said in heard.said("progress")]
    assert fractions == sorted(fractions) and (fractions[0], fractions[-1]) == (0.0, 1.0)


class Shout(Task):
    async def execute(self, text: str) -> str:
        return text.upper()

    async def revert(self, result: Any) -> None:
        self.notify("undone", name=self.name)


def test_async_atoms_run_and_revert_everywhere(executor: Executor, heard: Heard) -> None:
    assert executor.execute(Shout(), {"text": "ho"}).output == "HO"
    assert executor.execute(LinearFlow("f").add(Shout(), Breaks("C")), {"text": "ho"}).status is FlowStatus.REVERTED
    assert [said["name"] for said in heard.said("undone")] == ["C", "Shout"]


class Pid(Task):
    def execute(self) -> int:
        return os.getpid()


def test_atoms_run_where_the_executor_says(executor: Executor, kind: str) -> None:
    assert (executor.execute(Pid()).output == os.getpid()) is (kind not in ELSEWHERE)


def test_the_short_form_gives_all_names_or_the_original_error() -> None:
    adding = LinearFlow("f").add(Add("sum", provides="z"))
    assert run(adding, store={"x": 1, "y": 2}) == {"x": 1, "y": 2, "z": 3}
    assert run(adding, engine="parallel", store={"x": 1, "y": 2})["z"] == 3
    with pytest.raises(OSError, match="C broke"):
        run(LinearFlow("f").add(Breaks("C")))


class Sleeper(Task):
    def execute(self) -> str:
        time.sleep(0.1)
        return self.name
