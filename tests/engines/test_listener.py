from __future__ import annotations

import io
import itertools
import logging
from typing import Any

import pytest

from callboard.engines import (
    ANY,
    CaptureListener,
    CheckingListener,
    Executor,
    LoggingListener,
    Notifier,
    PrintingListener,
    SyncExecutor,
    TimingListener,
)
from callboard.events import EventEmitter
from callboard.flows import FlowStatus, FunctionTask, LinearFlow, Task
from callboard.messages.errors import InvalidSetting
from tests.engines.conftest import make_executor
from tests.engines.test_scenario import Breaks, Note, Undoable


def make_call(phone: str) -> str:
    return f"called {phone}"


def hang_up() -> None: ...


def test_states_are_heard_in_exact_order(executor: Executor) -> None:
    with CaptureListener(executor) as listener:
        executor.execute(LinearFlow("calls").add(FunctionTask(make_call), FunctionTask(hang_up)), {"phone": "555"})
    assert [(heard.kind, heard.name, heard.state) for heard in listener.heard] == [
        ("flow", "calls", "running"),
        ("atom", "make_call", "running"),
        ("atom", "make_call", "completed"),
        ("atom", "hang_up", "running"),
        ("atom", "hang_up", "completed"),
        ("flow", "calls", "completed"),
    ]
    assert listener.heard[2].details["result"] == "called 555"
    assert listener.heard[2].details["old_state"] == "running"
    executor.execute(LinearFlow("more").add(Note()))
    assert len(listener.heard) == 6  # the block is left


def test_a_notifier_calls_who_registered_and_survives_what_they_raise(caplog: pytest.LogCaptureFixture) -> None:
    notifier, heard = Notifier(), []

    def listen(state: str, details: Any) -> None:
        heard.append((state, details["n"]))
        details["n"] = 99  # a copy of its own

    notifier.register("completed", listen, lambda details: details["n"] > 1)
    notifier.register(ANY, lambda state, details: 1 / 0)
    notifier.register(ANY, lambda state, details: heard.append((f"any {state}", details["n"])))
    for n in (1, 2):
        notifier.notify("completed", {"n": n})
    assert heard == [("any completed", 1), ("completed", 2), ("any completed", 2)]
    assert "a listener of completed failed" in caplog.text
    with pytest.raises(InvalidSetting, match="registered for 'completed' already"):
        notifier.register("completed", listen)
    with pytest.raises(InvalidSetting, match="takes a state and a function"):
        notifier.register("completed", 3)  # type: ignore[arg-type]
    assert notifier.deregister("completed", listen) and not notifier.deregister("completed", listen)


def test_logging_tells_of_trouble_as_a_warning_and_of_no_values(caplog: pytest.LogCaptureFixture) -> None:
    executor = SyncExecutor()
    with caplog.at_level(logging.DEBUG, "callboard"), LoggingListener(executor):
        executor.execute(LinearFlow("f").add(Note("secret", provides="x"), Breaks("b")))
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert "atom 'b' of flow 'f' is failed: OSError: b broke" in warnings
    assert any("flow 'f'" in text and text.endswith("is reverted") for text in warnings)
    assert "atom 'secret' of flow 'f' is completed" in caplog.messages


def test_printing_and_timing() -> None:
    executor, stream, ticks = SyncExecutor(), io.StringIO(), itertools.count()
    with PrintingListener(executor, stream), TimingListener(executor, lambda: float(next(ticks))) as timing:
        executor.execute(LinearFlow("f").add(Note("a")), run_id="run")
    assert stream.getvalue().splitlines() == ["flow 'f': running", "atom 'a': running", "atom 'a': completed", "flow 'f': completed"]
    assert timing.durations == {("run", "a"): 1.0, ("run", "f"): 3.0}


def test_a_check_that_says_no_suspends_the_run(executor: Executor) -> None:
    claimed = {"yes": True}
    with CheckingListener(executor, lambda details: claimed["yes"]):
        executor.atom_notifier.register("completed", lambda *_: claimed.update(yes=False))
        result = executor.execute(LinearFlow("f").add(Note("a"), Note("b"), Note("c")))
    assert result.status is FlowStatus.SUSPENDED
    assert result.states["c"] == "pending"


class Tells(Task):
    def execute(self) -> None:
        self.notify("order.placed", number=7)


def test_an_emitter_is_told_of_flows_and_of_what_tasks_say(kind: str) -> None:
    emitter, heard = EventEmitter(), []
    emitter.on("*", lambda event: heard.append((event.topic, event.data.get("name"), event.data.get("number"))))
    make_executor(kind, emitter=emitter).execute(LinearFlow("f").add(Tells("t")))
    assert heard == [("flow.running", "f", None), ("order.placed", "t", 7), ("flow.completed", "f", None)]


def test_listeners_start_further_flows(executor: Executor) -> None:
    emitter, done = EventEmitter(), []
    follow_up = SyncExecutor()
    emitter.on("flow.completed", lambda event: done.append(follow_up.execute(Undoable("next")).output))
    SyncExecutor(emitter=emitter).execute(LinearFlow("f").add(Note("a")))
    assert done == ["next done"]


class Says(Task):
    def __init__(self, topic: Any, **data: object) -> None:
        super().__init__("says")
        self.topic = topic
        self.data = data

    def execute(self) -> None:
        self.notify(self.topic, **self.data)


@pytest.mark.parametrize("topic", ["completed", "progress", "cancelled", "", "a b", "*", 5])
def test_what_is_no_topic_of_a_tasks_own_fails_the_task_and_not_the_run(executor: Executor, topic: Any) -> None:
    heard = []
    executor.register("*", lambda state, details: heard.append(state))
    result = executor.execute(LinearFlow("f").add(Says(topic)))
    assert (result.status, list(result.failures)) == (FlowStatus.REVERTED, ["says"])
    assert heard == ["running", "running", "failed", "reverting", "reverted", "reverted"]


def test_what_a_task_says_cannot_pass_for_anothers_words(executor: Executor) -> None:
    heard = []
    executor.atom_notifier.register("said", lambda state, details: heard.append((details["task_name"], details["run_id"], details["x"])))
    assert executor.execute(LinearFlow("f").add(Says("said", task_name="other", run_id="another", x=1)), run_id="run").success
    assert heard == [("says", "run", 1)]


def test_an_emitter_of_declared_topics_is_told_of_those(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    emitter, heard = EventEmitter(["order.placed"]), []
    emitter.on("order.placed", lambda event: heard.append(event.data["number"]))
    assert make_executor(kind, emitter=emitter).execute(LinearFlow("f").add(Tells("t"))).success
    assert heard == [7]
    assert "the emitter was not told of 'flow.running'" in caplog.text
