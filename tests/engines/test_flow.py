"""What flows can do beside the great scenarios, on every executor."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from callboard.engines import Executor, SyncExecutor, run
from callboard.flows import (
    AlwaysRevert,
    AlwaysRevertAll,
    CompositeTask,
    Decision,
    FanOutFanInPattern,
    FlowStatus,
    FunctionTask,
    GraphFlow,
    History,
    LinearFlow,
    MapTask,
    ReduceTask,
    Retry,
    Task,
    Times,
    UnorderedFlow,
    Verdict,
    task,
)
from callboard.gather import Aggregator
from callboard.messages.errors import (
    CircuitOpen,
    FlowFailed,
    InvalidFlow,
    InvalidTask,
    QuorumNotReached,
    TaskFailed,
    TaskTimedOut,
)
from callboard.messages.result import TaskResult
from callboard.resilience import CircuitBreaker, RetryPolicy
from tests.engines.conftest import Heard
from tests.engines.test_scenario import Add, Breaks, Note, Undoable


class Person(Task):
    default_provides = "phone"

    def execute(self, name: str) -> str:
        return f"number of {name}"


class Ring(Task):
    def execute(self, phone: str, greeting: str = "hello") -> str:
        return f"{greeting}, {phone}"


def person(namespace: str) -> LinearFlow:
    return LinearFlow("person", namespace=namespace).add(Person("look up"), Ring("ring", provides="said"))


def test_a_flow_serves_again_under_another_namespace(executor: Executor) -> None:
    flow = UnorderedFlow("all").add(person("ann"), LinearFlow("both", namespace="uk").add(person("bob")), person("eve"))
    result = executor.execute(flow, {"name": "anybody", "ann.name": "Ann", "uk.bob.name": "Bob", "uk.greeting": "how do you do"})
    assert result.outputs == {
        "ann.phone": "number of Ann",
        "ann.said": "hello, number of Ann",
        "uk.bob.phone": "number of Bob",
        "uk.bob.said": "how do you do, number of Bob",
        "eve.phone": "number of anybody",
        "eve.said": "hello, number of anybody",
    }
    assert list(result.states) == ["ann.look up", "ann.ring", "uk.bob.look up", "uk.bob.ring", "eve.look up", "eve.ring"]


class Double(Task):
    def execute(self, x: int) -> int:
        return 2 * x


def test_the_nearest_provider_is_meant_and_the_initial_inputs_come_last(executor: Executor) -> None:
    doubling = [Double(f"d{n}", provides="x") for n in range(5)]
    assert executor.execute(LinearFlow("f").add(*doubling), {"x": 1}).outputs == {"x": 32}


def test_a_part_of_a_composite_is_done_only_when_its_condition_says_so(executor: Executor) -> None:
    def workflow() -> CompositeTask:
        made = CompositeTask("c")
        made.add_task(Double("d"), requires={"x": "n"}, provides="twice")
        made.add_task(Note("big"), provides="size", when=lambda twice: twice > 10)
        made.add_task(Ring("say", rebind={"phone": "size"}), provides="said")
        return made

    assert executor.execute(workflow(), {"n": 9}).output == {"twice": 18, "size": "big", "said": "hello, big"}
    small = executor.execute(workflow(), {"n": 2})
    assert small.output == {"twice": 4}
    assert small.states == {"d": "completed", "big": "ignored", "say": "ignored"}


def test_what_was_ignored_is_replaced_by_what_was_there_before(executor: Executor) -> None:
    made = CompositeTask("c").add_task(Double("refine"), provides="x", when=lambda wanted: wanted)
    flow = LinearFlow("f").add(made, Double("use", provides="y"))
    assert executor.execute(flow, {"x": 1, "wanted": False}).outputs["y"] == 2
    assert executor.execute(flow, {"x": 1, "wanted": True}).outputs["y"] == 4


def test_a_composite_in_a_composite_renames_what_goes_in_and_out(executor: Executor) -> None:
    inner = CompositeTask("inner").add_task(Double("d"), provides="y")
    outer = CompositeTask("outer").add_task(inner, requires={"x": "n"}, provides={"y": "doubled"})
    outer.add_task(Add("add", rebind=("doubled", "n")), provides="sum")
    result = executor.execute(outer, {"n": 3})
    assert (result.outputs["doubled"], result.outputs["sum"]) == (6, 9)


def test_a_switch_joins_what_was_not_ignored(executor: Executor) -> None:
    a, b, c, d = Note("a"), Note("b", provides="x"), Note("c", provides="x"), Ring("d", rebind={"phone": "x"})
    flow = GraphFlow("switch").add(a, b, c, d).link(a, b, decider=lambda history: True, depth="atom")
    flow.link(a, c, decider=lambda history: False, depth="atom").link(b, d).link(c, d)
    assert executor.execute(flow).output == "hello, b"


def test_a_decider_that_raises_fails_the_flow_and_reverts_it(executor: Executor, heard: Heard) -> None:
    a, b = Undoable("a", provides="x"), Note("b")
    flow = GraphFlow("f").add(a, b).link(a, b, decider=lambda history: 1 / 0 > 0)
    result = executor.execute(flow)
    assert result.status is FlowStatus.REVERTED
    assert [said["name"] for said in heard.said("undone")] == ["a"]
    with pytest.raises(ZeroDivisionError):
        result.unwrap()


class CannotUndo(Undoable):
    def revert(self, result: Any, flow_failures: Mapping[str, Any]) -> None:
        raise RuntimeError("stuck")


def test_a_revert_that_fails_does_not_keep_the_others_from_reverting(executor: Executor, heard: Heard) -> None:
    flow = LinearFlow("f").add(Undoable("a", provides="x"), CannotUndo("b", provides="y"), Breaks("c"))
    result = executor.execute(flow)
    assert result.status is FlowStatus.FAILED
    assert result.states == {"a": "reverted", "b": "revert_failed", "c": "reverted"}
    assert [said["name"] for said in heard.said("undone")] == ["c", "a"]
    with pytest.raises(ExceptionGroup) as raised:
        result.unwrap()
    assert raised.group_contains(OSError, match="c broke") and raised.group_contains(RuntimeError, match="stuck")


@pytest.mark.parametrize(("inner", "tries"), [(AlwaysRevert(), 2), (AlwaysRevertAll(), 1)])
def test_a_controller_that_reverts_leaves_it_to_the_one_around_or_does_not(
    executor: Executor, heard: Heard, inner: Retry, tries: int
) -> None:
    flow = LinearFlow("outer", retry=Times(2)).add(Undoable("a", provides="x"), LinearFlow("inner", retry=inner).add(Breaks("b")))
    assert executor.execute(flow).status is FlowStatus.REVERTED
    assert heard.of("running").count("a") == tries
    assert [said["name"] for said in heard.said("undone")] == ["b", "a"] * tries


def test_a_retry_leaves_what_stands_beside_its_flow_alone(executor: Executor, heard: Heard) -> None:
    flow = LinearFlow("outer").add(
        Undoable("a", provides="x"), LinearFlow("inner", retry=Times(3, provides="n")).add(Undoable("b", provides="y"), Until("c", 3))
    )
    assert executor.execute(flow).is_completed()
    assert (heard.of("running").count("a"), heard.of("running").count("b")) == (1, 3)
    assert [said["name"] for said in heard.said("undone")] == ["b", "b"]


class Until(Task):
    def __init__(self, name: str, wanted: int) -> None:
        super().__init__(name)
        self.wanted = wanted

    def execute(self, n: int) -> int:
        if n < self.wanted:
            raise ValueError(n)
        return n


class Own(Retry):
    def execute(self, history: History, limit: int) -> int:
        return len(history)

    def on_failure(self, history: History, limit: int) -> Decision | Verdict:
        if history.caused_by(ValueError) and len(history) < limit:
            return Verdict(Decision.RETRY, delay=0.01)
        return Decision.REVERT


def test_a_controller_of_ones_own_waits_without_blocking(executor: Executor, heard: Heard) -> None:
    flow = LinearFlow("f", retry=Own(provides="n")).add(Until("u", 2))
    assert executor.execute(flow, {"limit": 5}).output == 2
    assert heard.of("retrying") == ["f_retry", "f_retry"]
    assert executor.execute(flow, {"limit": 2}).status is FlowStatus.REVERTED


class Wrong(Retry):
    def on_failure(self, history: History) -> Any:
        return "again, please"


def test_a_controller_that_decides_nothing_reverts_everything(executor: Executor) -> None:
    result = executor.execute(LinearFlow("f", retry=Wrong()).add(Breaks("b")))
    assert result.status is FlowStatus.REVERTED
    with pytest.raises(ExceptionGroup) as raised:
        result.unwrap()
    assert raised.group_contains(InvalidFlow, match="must answer by a Decision") and raised.group_contains(OSError)


class Sleeps(Task):
    def execute(self, seconds: float) -> str:

        time.sleep(seconds)
        return "slept"


def test_an_attempt_that_overruns_is_not_waited_for(executor: Executor) -> None:
    flow = LinearFlow("f").add(Sleeps(timeout=0.2))
    with pytest.raises(TaskTimedOut, match=r"ran longer than its timeout of 0\.2 s"):
        executor.execute(flow, {"seconds": 5}).unwrap()
    assert executor.execute(Sleeps(timeout=20), {"seconds": 0}).output == "slept"


def test_a_deadline_is_a_deadline(executor: Executor) -> None:
    result = executor.execute(LinearFlow("f").add(Sleeps(), Note("never")), {"seconds": 2}, deadline=0.3)
    assert (result.status, result.states["never"]) == (FlowStatus.CANCELLED, "pending")
    assert result.duration < 2
    assert "was not done after 0.3 seconds" in str(result.error)


def test_a_cancelled_run_begins_nothing_more(executor: Executor) -> None:
    executor.atom_notifier.register("completed", lambda *_: executor.cancel())
    result = executor.execute(LinearFlow("f").add(Note("a"), Note("b")))
    assert (result.status, result.states) == (FlowStatus.CANCELLED, {"a": "completed", "b": "pending"})


class Flaky(Task):
    def execute(self, good: int) -> str:
        self.notify("tried")
        if self.attempt < good:
            raise ConnectionError(f"attempt {self.attempt}")
        return f"attempt {self.attempt}"


def test_a_tasks_own_policy_comes_before_its_flows_controller(executor: Executor, heard: Heard) -> None:
    flow = LinearFlow("f", retry=Times(2)).add(Flaky(retry_policy=RetryPolicy(max_attempts=2)))
    assert executor.execute(flow, {"good": 2}).output == "attempt 2"
    assert heard.of("reverted") == []
    assert executor.execute(flow, {"good": 9}).status is FlowStatus.REVERTED
    assert len(heard.said("tried")) == 2 + 4


def test_a_policy_that_does_not_know_the_error_gives_up(executor: Executor, heard: Heard) -> None:
    executor.execute(Flaky(retry_policy=RetryPolicy(max_attempts=5, retry_on=(KeyError,))), {"good": 9})
    assert len(heard.said("tried")) == 1


class Other(Task):
    def execute(self, good: int) -> str:
        return f"instead of {good}"


def test_a_fallback_stands_in_when_all_attempts_failed(executor: Executor) -> None:
    policy = RetryPolicy(max_attempts=2)
    assert executor.execute(Flaky(retry_policy=policy, fallback="a value"), {"good": 9}).output == "a value"
    assert executor.execute(Flaky(retry_policy=policy, fallback=Other()), {"good": 9}).output == "instead of 9"


def test_an_open_circuit_refuses_without_trying(executor: Executor, heard: Heard) -> None:
    breaker = CircuitBreaker("service", failure_threshold=2)
    flow = LinearFlow("f").add(Flaky(breaker=breaker))
    for _ in range(2):
        with pytest.raises(ConnectionError):
            executor.execute(flow, {"good": 9}).unwrap()
    with pytest.raises(CircuitOpen):
        executor.execute(flow, {"good": 1}).unwrap()


def square(x: int) -> int:
    return x * x


@task
def halve(x: int) -> int:
    if x % 2:
        raise ValueError(f"{x} is odd")
    return x // 2


class Largest(Aggregator):
    def __init__(self) -> None:
        self.seen: list[int] = []

    def add(self, result: TaskResult) -> None:
        self.seen.append(result.output)

    def finish(self) -> int:
        return max(self.seen)


def test_work_is_fanned_out_and_joined(executor: Executor) -> None:
    pattern = FanOutFanInPattern(square, [1, 2, 3, 4], sum, name="squares", provides="total")
    result = executor.execute(LinearFlow("f").add(pattern, Double("d", rebind={"x": "total"}, provides="twice")))
    assert (result.outputs, result.output) == ({"total": 30, "twice": 60}, 60)
    assert "squares[3]" in result.states
    assert executor.execute(FanOutFanInPattern(halve, "numbers"), {"numbers": [8, 6]}).output == [4, 3]
    assert executor.execute(FanOutFanInPattern(Double, [1, 5, 2], Largest, provides="most")).outputs == {"most": 10}
    assert executor.execute(FanOutFanInPattern(Double, [], provides="none")).outputs == {"none": []}


def test_what_fails_in_a_fan_out_fails_it_or_is_left_out_or_told(executor: Executor) -> None:
    numbers = [2, 3, 4, 5]
    with pytest.raises(ValueError, match="3 is odd"):
        executor.execute(FanOutFanInPattern(halve, [2, 3, 4])).unwrap()
    assert executor.execute(FanOutFanInPattern(halve, numbers, on_error="skip")).output == [1, 2]
    told = executor.execute(FanOutFanInPattern(halve, numbers, on_error="collect")).output
    assert [one.error if isinstance(one, TaskResult) else one for one in told] == [1, "ValueError: 3 is odd", 2, "ValueError: 5 is odd"]
    assert executor.execute(FanOutFanInPattern(halve, numbers, quorum=2)).output == [1, 2]
    with pytest.raises(QuorumNotReached):
        executor.execute(FanOutFanInPattern(halve, numbers, quorum=3)).unwrap()


def test_map_and_reduce_over_names(executor: Executor) -> None:
    names = ["a", "b", "c"]
    flow = LinearFlow("f").add(MapTask(square, names, provides="squares"), ReduceTask(max, names, provides="most"))
    assert executor.execute(flow, {"a": 1, "b": 3, "c": 2}).outputs == {"squares": [1, 9, 4], "most": 3}
    with pytest.raises(InvalidTask, match="at least 2"):
        ReduceTask(max, ["a"])
    with pytest.raises(InvalidTask, match="takes 1 arguments, not 2"):
        MapTask(lambda x, y: x, names)


def test_tasks_among_the_arguments_of_a_function_are_waited_for(executor: Executor) -> None:
    first = halve.task(8)
    flow = GraphFlow("f").add(FunctionTask(square, first, name="second"), first)
    assert executor.execute(flow).output == 16


class Promises(Task):
    def execute(self) -> dict[str, int]:
        return {"a": 1}


def test_a_promise_that_is_not_kept_fails_the_atom(executor: Executor) -> None:
    with pytest.raises(TaskFailed, match="promised 'b', but its result"):
        executor.execute(LinearFlow("f").add(Promises(provides={"a", "b"}))).unwrap()


class Grudging:
    def __getitem__(self, key: object) -> object:
        raise RuntimeError("ask somebody else")


class PromisesMuch(Task):
    def execute(self) -> Grudging:
        return Grudging()


def test_a_result_that_raises_when_it_is_looked_into_fails_the_atom(executor: Executor) -> None:
    result = executor.execute(LinearFlow("f").add(PromisesMuch("task", provides=("a", "b"))))
    assert result.status is FlowStatus.REVERTED
    assert "RuntimeError: ask somebody else" in str(result.failures["task"])


class SaysNo(Task):
    def execute(self) -> TaskResult:
        return self.fail("no, thank you")


def test_an_honest_no_reaches_the_caller(executor: Executor) -> None:
    result = executor.execute(SaysNo())
    assert result.status is FlowStatus.FAILED
    with pytest.raises(TaskFailed, match="no, thank you"):
        result.unwrap()


def test_an_empty_flow_completes(executor: Executor) -> None:
    result = executor.execute(LinearFlow("f", retry=Times(2)).add(UnorderedFlow("u"), GraphFlow("g")))
    assert (result.status, result.output, result.outputs) == (FlowStatus.COMPLETED, None, {})


def test_priority_goes_first_where_one_runs_after_the_other() -> None:
    executor = SyncExecutor()
    heard = Heard(executor)
    executor.execute(UnorderedFlow("f").add(Note("low"), Note("high", priority=2), Note("middle", priority=1), Note("last")))
    assert heard.of("running") == ["high", "middle", "low", "last"]


def test_a_task_without_code_needs_workers() -> None:
    with pytest.raises(InvalidFlow, match="has processor 'paint': only DistributedExecutor can run it"):
        SyncExecutor().execute(LinearFlow("f").add(Task("t", processor="paint")))
    with pytest.raises(InvalidFlow, match="what is executed is a flow or a task"):
        SyncExecutor().execute(3)


def test_a_fresh_failure_of_no_atom_has_words() -> None:
    result = SyncExecutor().execute(LinearFlow("f").add(Note("a")))
    assert result.unwrap() == "a"
    with pytest.raises(FlowFailed, match="flow 'f' reverted"):
        type(result)("id", "f", FlowStatus.REVERTED).unwrap()
    with pytest.raises(OSError, match="broke"):
        run(Breaks("C"))


class Retried(Task):
    """Fails at every attempt, and waits between them for longer than the test lasts."""

    def execute(self) -> None:
        raise ConnectionError("not yet")

    def revert(self, result: Any, flow_failures: Mapping[str, Any]) -> None:
        self.notify("undone", name=self.name, result=str(result), failures=sorted(flow_failures))


def test_what_waits_for_its_next_attempt_is_reverted_with_its_failure(executor: Executor, kind: str, heard: Heard) -> None:
    if kind == "distributed":
        pytest.skip("a playground sees to attempts there")
    waiting = Retried("waits", retry_policy=RetryPolicy(max_attempts=9, initial_delay_seconds=600))
    flow = UnorderedFlow("f").add(waiting, LinearFlow("then").add(Sleeps(inject={"seconds": 0.2}), Breaks("b")))
    result = executor.execute(flow)
    assert (result.status, set(result.failures)) == (FlowStatus.REVERTED, {"waits", "b"})
    undone = {said["name"]: said for said in heard.said("undone")}
    assert undone["waits"]["result"] == "ConnectionError: not yet"
    with pytest.raises(ExceptionGroup) as raised:
        result.unwrap()
    assert raised.group_contains(ConnectionError) and raised.group_contains(OSError)


def test_an_attempt_that_was_made_good_is_no_failure(executor: Executor, heard: Heard) -> None:
    flow = LinearFlow("f").add(Flaky(retry_policy=RetryPolicy(max_attempts=2)), Breaks("b"))
    result = executor.execute(flow, {"good": 2})
    assert set(result.failures) == {"b"}
    assert [said["failures"] for said in heard.said("undone")] == [["b"]]


class Transfer(Task):
    def execute(self, amount: int, to: str = "ann") -> str:
        return f"{amount} to {to}"

    def revert(self, *, result: str, flow_failures: Mapping[str, Any], fee: int, **inputs: Any) -> None:
        self.notify("undone", name=self.name, result=result, inputs=inputs, fee=fee)


def test_a_revert_gets_the_inputs_of_execute_and_names_of_its_own(executor: Executor, heard: Heard) -> None:
    flow = LinearFlow("f").add(Transfer("t", rebind={"amount": "sum"}, inject={"to": "bob"}), Breaks("b"))
    assert executor.execute(flow, {"sum": 5, "fee": 1}).status is FlowStatus.REVERTED
    told = heard.said("undone")[-1]
    assert (told["result"], told["inputs"], told["fee"]) == ("5 to bob", {"amount": 5, "to": "bob"}, 1)


def test_a_controllers_policy_delays_and_judges(executor: Executor, heard: Heard) -> None:
    policy = RetryPolicy(initial_delay_seconds=0.01, retry_on=(ValueError,))
    flow = LinearFlow("f", retry=Times(5, provides="n", policy=policy)).add(Until("u", 4))
    assert executor.execute(flow).output == 4
    other = LinearFlow("f", retry=Times(5, policy=policy)).add(Breaks("b"))
    assert executor.execute(other).status is FlowStatus.REVERTED
    assert heard.of("running").count("b") == 1


class FailsTwice(Task):
    def execute(self) -> int:
        if int(self.attempt) < 3:
            raise ValueError(f"attempt {self.attempt}")
        return int(self.attempt)


def test_a_decided_task_is_tried_again_without_a_second_decision(executor: Executor) -> None:
    asked: list[object] = []

    def decider(history: Mapping[str, Any]) -> bool:
        asked.append(history)
        return True

    patient = FailsTwice("patient", retry_policy=RetryPolicy(max_attempts=3))
    flow = GraphFlow("f").add(Note("first"), patient).link("first", "patient", decider)
    result = executor.execute(flow)
    assert (result.status, result.output, len(asked)) == (FlowStatus.COMPLETED, 3, 1)
