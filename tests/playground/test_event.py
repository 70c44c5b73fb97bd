"""Events: the life of a task in order, who hears what, and what listeners start."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from callboard import Event, InvalidSetting, Playground, ProcessRequest, ProcessWorker, RetryPolicy, Task, TaskStatus
from tests.playground.conftest import ROOT
from tests.playground.crew import Noting, Tally, Waiting, begun, until


class Reporter(ProcessWorker):
    """Tells of its progress, and fails when it is told to."""

    def process(self, request: ProcessRequest) -> Any:
        request.progress(0.5, "first coat")
        if request.data == "fail" or (request.data == "flaky" and request.attempt == 1):
            raise ValueError("smudged")
        if request.data == "emit":
            request.emit("paint.dry", colour="red", odd={1, 2})
        return request.data


class Starter(Noting):
    """Gives back the event that it was started by."""

    def work(self, request: ProcessRequest) -> Any:
        return request.metadata.get("event")


class Chained(ProcessWorker):
    """Emits the next link of a chain."""

    def process(self, request: ProcessRequest) -> Any:
        event = request.metadata["event"]
        if request.data is not None:
            request.emit(request.data, passed=[*event["data"]["passed"], request.name])
        return event["data"]["passed"]


class Heard:
    """Collects events, and waits for them."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._news = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._news:
            self.events.append(event)
            self._news.notify_all()

    def wait(self, count: int, seconds: float = 20.0) -> list[Event]:
        with self._news:
            assert self._news.wait_for(lambda: len(self.events) >= count, seconds), f"heard {self.topics()}, wanted {count}"
            return list(self.events)

    def topics(self) -> list[str]:
        return [event.topic for event in self.events]


@pytest.fixture(scope="module")
def stage(module_tally: Tally) -> Iterator[Playground]:
    crew: list[ProcessWorker] = [
        Reporter("ada", "paint"),
        Starter("eve", "starter", tally=module_tally),
        Chained("bob", "chain"),
        Waiting("ida", "waiting"),
    ]
    with Playground().play(workers=crew) as playground:
        yield playground


@pytest.fixture
def heard(stage: Playground) -> Iterator[Heard]:
    collected = Heard()
    listening = stage.on("task.*", collected)
    yield collected
    listening.cancel()


# -- one life ------------------------------------------------------------------------------------


def test_the_life_of_a_task_that_completes(stage: Playground, heard: Heard) -> None:
    handle = stage.submit(Task("portrait", "paint", {"data": "a cat"}))
    assert handle.result(20).success
    events = heard.wait(5)
    assert heard.topics() == ["task.submitted", "task.assigned", "task.started", "task.progress", "task.completed"]
    assert {event.task_id for event in events} == {handle.task_id} and {event.name for event in events} == {"portrait"}
    assert [event.worker for event in events] == [None, "ada", "ada", "ada", "ada"]
    assert events[3].data == {"fraction": 0.5, "text": "first coat"}
    assert events[4].data["attempts"] == 1 and events[4].data["duration"] >= 0
    assert all(abs(event.time - time.time()) < 60 for event in events)
    assert [event.time for event in events] == sorted(event.time for event in events)


def test_the_life_of_a_task_that_is_tried_again(stage: Playground, heard: Heard) -> None:
    stage.submit(Task("portrait", "paint", {"data": "flaky"}, retry_policy=RetryPolicy(max_attempts=2))).result(20)
    heard.wait(9)
    attempt = ["task.assigned", "task.started", "task.progress"]
    assert heard.topics() == ["task.submitted", *attempt, "task.retrying", *attempt, "task.completed"]
    assert "smudged" in heard.events[4].data["error"]
    assert [event.data["attempt"] for event in heard.events if event.topic == "task.started"] == [1, 2]


def test_the_other_endings(stage: Playground, heard: Heard, tmp_path: Path) -> None:
    failed = Task("fails", "paint", {"data": "fail"})
    stage.submit(failed).result(20)
    stage.submit(Task("skipped", "paint", dependencies=[failed.id])).result(20)
    mark = str(tmp_path / "begun")
    running = stage.submit(Task("stopped", "waiting", {"begun": mark}))
    begun(mark)
    running.cancel()
    running.result(20)
    heard.wait(11)
    by_name = {name: [event.topic for event in heard.events if event.name == name] for name in ("fails", "skipped", "stopped")}
    assert by_name["fails"][-1] == "task.failed" and by_name["skipped"] == ["task.submitted", "task.skipped"]
    assert by_name["stopped"] == ["task.submitted", "task.assigned", "task.started", "task.cancelled"]
    last = {event.name: str(event.data.get("error")) for event in heard.events if event.topic in ("task.failed", "task.skipped")}
    assert "smudged" in last["fails"] and "fails" in last["skipped"]


def test_sequences_count_per_topic_without_gaps(stage: Playground, heard: Heard) -> None:
    handles = [stage.submit(Task(f"{n}", "paint", {"data": n})) for n in range(200)]
    assert all(handle.result(20).success for handle in handles)
    events = heard.wait(1000)
    for topic in ("task.submitted", "task.assigned", "task.started", "task.progress", "task.completed"):
        sequences = [event.sequence for event in events if event.topic == topic]
        assert sequences == list(range(sequences[0], sequences[0] + 200))


# -- who hears what --------------------------------------------------------------------------------


def test_wildcards_and_where(stage: Playground) -> None:
    ears = {name: Heard() for name in ("all", "exact", "named", "function", "data")}
    listenings = [
        stage.on("*", ears["all"]),
        stage.on("task.completed", ears["exact"]),
        stage.on("task.*", ears["named"], where={"name": "wanted"}),
        stage.on("task.completed", ears["function"], where=lambda event: event.name.startswith("w")),
        stage.on("shop.*", ears["data"], where={"size": 3}),
    ]
    for name in ("wanted", "other"):
        stage.submit(Task(name, "paint", {"data": 1})).result(20)
    stage.emit("shop.sold.today", size=3)
    stage.emit("shop.sold", size=4)
    stage.emit("shopping", size=3)
    until(lambda: ears["all"].topics().count("shopping") == 1, "the last event")
    assert [event.name for event in ears["exact"].events] == ["wanted", "other"]
    assert {event.name for event in ears["named"].events} == {"wanted"} and len(ears["named"].events) >= 3
    assert [event.name for event in ears["function"].events] == ["wanted"]
    assert [event.topic for event in ears["data"].events] == ["shop.sold.today"]
    for listening in listenings:
        listening.cancel()
    count = len(ears["exact"].events)
    stage.submit(Task("late", "paint", {"data": 1})).result(20)
    assert len(ears["exact"].events) == count


def test_a_listener_hears_nothing_of_what_was_before_it(stage: Playground) -> None:
    early = stage.on("dawn.*", Heard())  # so that events flow already
    lights: list[Heard] = []
    past = Heard()
    for number in range(200):
        group = stage.fan_out("starter", [number], join=len)
        group.result(20)
        stage.emit("dawn.light", number=number)
        lights.append(Heard())
        listening = [stage.on("dawn.light", lights[-1]), stage.on("group.completed", past, where={"group": group.task_id})]
        stage.emit("dawn.light", number=-1)
        lights[-1].wait(1)
        for each in listening:
            each.cancel()
    early.cancel()
    assert not past.events and [[event.data["number"] for event in light.events] for light in lights] == [[-1]] * 200


def test_events_of_ones_own_carry_anything_that_pickles(stage: Playground) -> None:
    heard = Heard()
    with_task = Heard()
    first, second = stage.on("paint.*", heard), stage.on("paint.dry", with_task, where={"worker": "ada"})
    stage.emit("paint.mixed", colours=("red", "blue"), at={"a": {1, 2}}, number=1.5, nothing=None)
    handle = stage.submit(Task("emits", "paint", {"data": "emit"}))
    assert handle.result(20).success
    events = heard.wait(2)
    assert events[0].data == {"colours": ("red", "blue"), "at": {"a": {1, 2}}, "number": 1.5, "nothing": None}
    assert events[0].task_id is None and events[1].task_id == handle.task_id
    assert dict(events[1].data) == {"colour": "red", "odd": {1, 2}}
    assert with_task.wait(1)[0].worker == "ada"
    first.cancel()
    second.cancel()


@pytest.mark.parametrize("topic", ["", "a..b", "a b", "*.completed", "task*", 7, None])
def test_a_topic_that_is_none_is_refused(stage: Playground, topic: Any) -> None:
    with pytest.raises(InvalidSetting, match="topic"):
        stage.on(topic, print)
    if topic != "*":
        with pytest.raises(InvalidSetting, match="topic"):
            stage.emit(topic)


def test_a_handler_that_raises_harms_nothing_and_is_logged(stage: Playground, caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()

    def broken(event: Event) -> None:
        raise RuntimeError(f"cannot handle {event.name}")

    with caplog.at_level(logging.ERROR, "callboard"):
        listenings = [stage.on("task.completed", broken), stage.on("task.completed", heard)]
        results = [stage.submit(Task(f"{n}", "paint", {"data": n})).result(20) for n in range(3)]
        heard.wait(3)
    assert all(result.success for result in results)
    assert caplog.text.count("RuntimeError: cannot handle") == 3
    for listening in listenings:
        listening.cancel()


def test_a_handler_may_submit_ask_and_listen(stage: Playground) -> None:
    answers: list[Any] = []
    heard = Heard()

    def handler(event: Event) -> None:
        if event.name == "cause":
            answers.append(stage.task_manager.get_task(str(event.task_id)).status)
            answers.append(stage.submit(Task("effect", "paint", {"data": 1})))
            answers.append(stage.on("later.*", heard))

    listening = stage.on("task.completed", handler)
    stage.submit(Task("cause", "paint", {"data": 1})).result(20)
    until(lambda: len(answers) == 3, "the handler's answers")
    assert answers[0] is TaskStatus.COMPLETED and answers[1].result(20).success
    stage.emit("later.on")
    heard.wait(1)
    answers[2].cancel()
    listening.cancel()


def test_async_handlers_run_in_the_loop_that_registered_them(stage: Playground) -> None:
    async def main() -> list[Any]:
        seen: list[Any] = []
        done = asyncio.Event()

        async def handler(event: Event) -> None:
            await asyncio.sleep(0)
            seen.append((event.name, asyncio.get_running_loop()))
            done.set()

        listening = stage.on("task.completed", handler)
        await stage.add_and_execute_task(Task("awaited", "paint", {"data": 1}))
        await asyncio.wait_for(done.wait(), 20)
        listening.cancel()
        return [seen, asyncio.get_running_loop()]

    seen, loop = asyncio.run(main())
    assert seen == [("awaited", loop)]


def test_events_as_an_async_iterator(stage: Playground) -> None:
    async def main() -> list[str]:
        stream = stage.events("task.*", where={"name": "streamed"})
        handle = stage.submit(Task("streamed", "paint", {"data": 1}))
        topics = []
        async for event in stream:
            topics.append(event.topic)
            if event.topic == "task.completed":
                break
        stream.close()
        assert (await handle).success
        return topics

    assert asyncio.run(main()) == ["task.submitted", "task.assigned", "task.started", "task.progress", "task.completed"]


def test_workers_that_come_and_go_are_told_of() -> None:
    heard = Heard()

    class Fragile(ProcessWorker):
        def process(self, request: ProcessRequest) -> None:
            import os

            os._exit(3)

    with Playground(max_worker_deaths=2).play(workers=[Fragile("fragile", "glass")]) as stage:
        stage.on("worker.*", heard)
        result = stage.submit(Task("drop", "glass")).result(20)
        assert result.status is TaskStatus.FAILED and "exit code 3" in str(result.error)
        until(lambda: heard.topics().count("worker.joined") == 2, "the second start")
    assert heard.topics()[:4] == ["worker.lost", "worker.joined", "worker.lost", "worker.joined"]
    assert {event.worker for event in heard.events} == {"fragile"} and "exit code 3" in heard.events[0].data["reason"]


# -- what listeners start ---------------------------------------------------------------------------


def test_a_follow_on_task_finds_its_event(stage: Playground, module_tally: Tally) -> None:
    heard = Heard()
    listening = stage.on("task.completed", heard, where={"name": "varnish"})
    rule = stage.on("task.completed", start=Task("varnish", "starter", metadata={"kept": 1}), where={"name": "portrait"})
    first, second = (stage.submit(Task("portrait", "paint", {"data": n})) for n in range(2))
    other = stage.submit(Task("sketch", "paint", {"data": 1}))
    assert first.result(20).success and second.result(20).success and other.result(20).success
    events = heard.wait(2)
    ids = [str(event.task_id) for event in events]
    assert len(set(ids)) == 2
    rule.cancel()
    stage.submit(Task("portrait", "paint", {"data": 3})).result(20)
    assert stage.task_manager.get_task(ids[0]).status is TaskStatus.COMPLETED
    time.sleep(0.05)
    assert len(heard.events) == 2
    assert all(module_tally.counts()[task_id] == 1 for task_id in ids)
    listening.cancel()


def test_the_event_that_a_follow_on_task_gets_and_the_block_waits_for_it(tmp_path: Path) -> None:
    class Writer(ProcessWorker):
        def process(self, request: ProcessRequest) -> None:
            time.sleep(0.2)
            event = request.metadata["event"]
            (tmp_path / request.id).write_text(f"{event['topic']} {event['name']} {event['task_id']} {event['data']['attempts']}")

    with Playground().play(workers=[Reporter("ada", "paint"), Writer("eve", "write")]) as stage:
        stage.on("task.completed", start=Task("report", "write"), where={"name": "portrait"})
        handle = stage.submit(Task("portrait", "paint", {"data": 1}))
    assert [path.read_text() for path in tmp_path.iterdir()] == [f"task.completed portrait {handle.task_id} 1"]


def test_a_custom_event_starts_a_chain_of_three(stage: Playground) -> None:
    heard = Heard()
    rules = [
        stage.on("chain.begin", start=Task("first", "chain", {"data": "chain.second"})),
        stage.on("chain.second", start=Task("second", "chain", {"data": "chain.third"})),
        stage.on("chain.third", start=Task("third", "chain", {"data": "chain.end"})),
    ]
    listening = stage.on("chain.end", heard)
    stage.emit("chain.begin", passed=["nobody"])
    event = heard.wait(1)[0]
    assert event.data["passed"] == ["nobody", "first", "second", "third"] and event.name == "third"
    for rule in rules:
        rule.cancel()
    listening.cancel()


def test_a_listener_that_starts_itself_for_ever_is_stopped_with_a_clear_error(caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()
    with caplog.at_level(logging.WARNING, "callboard"), Playground(max_chain=20).play(workers=[Reporter("ada", "paint")]) as stage:
        stage.on("task.completed", heard)
        stage.on("task.failed", heard)
        stage.on("task.completed", start=Task("echo", "paint", {"data": 1}), where={"name": "echo"})
        stage.submit(Task("echo", "paint", {"data": 1})).result(20)
        refused = heard.wait(22)[-1]
        assert stage.task_manager.get_task(str(refused.task_id)).status is TaskStatus.FAILED
    assert heard.topics() == ["task.completed"] * 21 + ["task.failed"]
    assert refused.name == "echo" and refused.worker is None and refused.data["attempts"] == 0
    assert "echo, started by 'task.completed'" in refused.data["error"] and "max_chain allows 20" in refused.data["error"]
    assert caplog.text.count("max_chain") == 1


def test_listeners_that_multiply_are_stopped_too(caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()
    with caplog.at_level(logging.WARNING, "callboard"), Playground(max_chain=3).play(workers=[Reporter("ada", "paint")]) as stage:
        stage.on("task.failed", heard)
        for _ in range(30):
            stage.on("task.completed", start=Task("echo", "paint", {"data": 1}))
        stage.submit(Task("echo", "paint", {"data": 1})).result(20)
    assert len(heard.events) == 1 and "ever more" in heard.events[0].data["error"]
    assert caplog.text.count("max_chain") == 1


def test_custom_events_that_cause_each_other_are_stopped_too(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "callboard"), Playground(max_chain=10).play(workers=[Chained("bob", "chain")]) as stage:
        heard = Heard()
        stage.on("task.*", heard, where={"name": "ping"})
        stage.on("ping", start=Task("ping", "chain", {"data": "ping"}))
        stage.emit("ping", passed=[])
        until(lambda: "task.failed" in heard.topics(), "the end of the chain")
    assert heard.topics().count("task.submitted") == 11 and heard.topics().count("task.failed") == 1
    assert caplog.text.count("ping, started by 'ping', would be number 11 of a chain") == 1


def test_a_rule_needs_a_task_or_a_handler_not_both(stage: Playground) -> None:
    call: Any = stage.on
    with pytest.raises(InvalidSetting, match="either a handler or start="):
        call("task.completed")
    with pytest.raises(InvalidSetting, match="either a handler or start="):
        call("task.completed", print, start=Task("x", "paint"))
    with pytest.raises(InvalidSetting, match="mapping"):
        call("task.completed", start=Task("x", "paint"), where=lambda event: True)
    with pytest.raises(InvalidSetting, match="Task"):
        call("task.completed", start=print)


# -- in another process -----------------------------------------------------------------------------

SUBSCRIBER = """
import sys, threading
from callboard import connect
wanted = int(sys.argv[2])
seen, done = [], threading.Event()
def handler(event):
    seen.append(event)
    if len(seen) == wanted:
        done.set()
gaps = []
with connect(sys.argv[1]) as board:
    board.on("events.gap", gaps.append)
    board.on("count.*", handler)
    print("ready", flush=True)
    done.wait(50)
numbers = [event.data["number"] for event in seen]
sequences = [event.sequence for event in seen]
print(len(seen), numbers == list(range(wanted)), sequences == list(range(sequences[0], sequences[0] + wanted)), len(gaps))
"""


def test_ten_thousand_events_reach_another_process_none_missing(free_port: Callable[[], int]) -> None:
    with Playground(port=free_port()).play(workers=0) as stage:
        assert stage.address is not None
        program = [sys.executable, "-c", SUBSCRIBER, stage.address, "10000"]
        with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True) as subscriber:
            assert subscriber.stdout is not None and subscriber.stdout.readline() == "ready\n"
            for number in range(10_000):
                stage.emit("count.up", number=number)
            assert subscriber.stdout.readline() == "10000 True True 0\n"
            assert subscriber.wait(20) == 0


SLEEPY = """
import sys, threading, time
from callboard import connect
gaps, told = [], threading.Event()
def gap(event):
    gaps.append(event)
    told.set()
seen = []
with connect(sys.argv[1]) as board:
    board.on("events.gap", gap)
    board.on("flood.*", seen.append)
    print("ready", flush=True)
    told.wait(50)
    for event in gaps[:1]:
        print(event.data["topic"], event.data["missed"] > 0, event.data["last"] - event.data["first"] + 1 == event.data["missed"])
"""


@pytest.mark.full
def test_a_gap_is_noticed_by_who_slept(free_port: Callable[[], int]) -> None:
    with Playground(port=free_port()).play(workers=0) as stage:
        assert stage.address is not None
        program = [sys.executable, "-c", SLEEPY, stage.address]
        with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as subscriber:
            assert subscriber.stdout is not None and subscriber.stdout.readline() == "ready\n"
            stage.emit("flood.rising", number=0)
            subscriber.send_signal(signal.SIGSTOP)
            cut = time.monotonic() + 4  # a subscriber that does not answer for so long is cut off
            while time.monotonic() < cut:
                stage.emit("flood.rising", number=1)
                time.sleep(0.01)
            subscriber.send_signal(signal.SIGCONT)
            assert subscriber.stdout.readline() == "flood.rising True True\n"
            assert subscriber.wait(20) == 0
