"""Leaving the block: in order, by an exception, by Ctrl-C. Nothing stays behind and nothing is printed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from callboard import Playground, PlaygroundClosed, ProcessRequest, ProcessWorker, Task, TaskStatus
from tests.playground.crew import Deaf, Noting, Sleeper, Tally, begun, until
from tests.playground.program import Program

# -- one process, many blocks -------------------------------------------------------------------------

MANY = """
import asyncio, gc, os, signal, sys, threading, time
import psutil
from callboard import Playground, ProcessWorker, Task

times, port, way = int(sys.argv[1]), int(sys.argv[2]), None

class Worker(ProcessWorker):
    def process(self, request):
        if request.data:
            time.sleep(request.data)
        request.progress(1.0, "done")
        return request.data

def crew():
    return [Worker("ada", "work", slots=2), Worker("bob", "work")]

def holdings():
    gc.collect()
    threads = {thread.name for thread in threading.enumerate()}
    files = len(os.listdir("/proc/self/fd"))
    children = [child.pid for child in psutil.Process().children(recursive=True)]
    return threads, files, children

def ctrl_c():
    os.killpg(0, signal.SIGINT)

heard = []

def use(stage):
    stage.on("task.*", heard.append)
    handles = [stage.submit(Task(processor="work", input_data={"data": 0})) for _ in range(5)]
    stage.on("task.completed", start=Task("after", processor="work", input_data={"data": 0}), where={"name": "first"})
    stage.submit(Task("first", processor="work", input_data={"data": 0}))
    if way != "normal":
        stage.submit(Task("long", processor="work", input_data={"data": 20.0}))
    assert handles[0].result(20).success
    group = stage.fan_out("work", [0, 0, 0], join=list)
    group.add_done_callback(heard.append)
    group.result(20)

def once(playground):
    with playground.play(workers=crew()) as stage:
        use(stage)
        if way == "exception":
            raise ZeroDivisionError
        if way == "ctrl-c":
            threading.Timer(0.02, ctrl_c).start()
            time.sleep(20)

async def once_async(playground):
    async with playground.play(workers=crew()) as stage:
        await asyncio.to_thread(use, stage)
        if way == "exception":
            raise ZeroDivisionError

playground = Playground(port=port)
ways = ["normal", "exception", "ctrl-c", "async normal", "async exception"]
raised = {"normal": None, "exception": ZeroDivisionError, "ctrl-c": KeyboardInterrupt}
first = None
for number in range(times):
    way = ways[number % len(ways)]
    kind, way = way.split()[0], way.split()[-1]
    try:
        asyncio.run(once_async(playground)) if kind == "async" else once(playground)
        assert raised[way] is None
    except (ZeroDivisionError, KeyboardInterrupt) as error:
        assert type(error) is raised[way], error
    until = time.monotonic() + 3  # threads that were told to end may take a moment to be gone
    while (held := holdings()) != (first or ({"MainThread"}, held[1], [])) and time.monotonic() < until:
        time.sleep(0.005)
    if first is None:
        first = {"MainThread"}, held[1], []
    assert held == first, (number, held, first)
print("clean", len(heard) > 0)
"""


@pytest.mark.timeout(600)
def test_many_blocks_in_a_row_leave_nothing(
    tmp_path: Path, full: bool, free_port: Callable[[], int], figure: Callable[[str, object], None]
) -> None:
    times = 100 if full else 10
    with Program(MANY, tmp_path, str(times), str(free_port())) as program:
        ended = program.end(500 if full else 60)
    assert (ended.code, ended.out, ended.err) == (0, "clean True\n", "")
    figure("blocks entered and left in a row, a second", times / ended.seconds)


# -- Ctrl-C ---------------------------------------------------------------------------------------------

HEAD = """
import asyncio, sys, time
from callboard import Playground, ProcessWorker, Task

class Deaf(ProcessWorker):
    def process(self, request):
        until = time.monotonic() + request.data
        while time.monotonic() < until:
            time.sleep(0.05)

    def on_stop(self):
        if len(sys.argv) > 3:  # takes its time to say goodbye
            time.sleep(60)

class Awaiting(ProcessWorker):
    async def process(self, request):
        await asyncio.sleep(request.data)

def tasks(seconds):
    return [Task("deaf", "deaf", {"data": seconds}), Task("awaiting", "awaiting", {"data": seconds})]

crew = [Deaf("ada", "deaf"), Awaiting("bob", "awaiting")]
"""

BODY = """
with Playground().play(workers=crew) as stage:
    for task in tasks(seconds=float(sys.argv[1])):
        stage.submit(task)
    print("inside", flush=True)
    if sys.argv[2] == "inside":
        time.sleep(60)
    if sys.argv[2] == "waiting":
        stage.submit(Task("deaf", "deaf", {"data": 60})).result()
print("never reached")
"""

ASYNC_BODY = """
async def main():
    async with Playground().play(workers=crew) as stage:
        for task in tasks(seconds=float(sys.argv[1])):
            await stage.add_and_execute_task(task, wait_for_completion=False)
        print("inside", flush=True)
        if sys.argv[2] == "inside":
            await asyncio.sleep(60)
        if sys.argv[2] == "waiting":
            await stage.add_and_execute_task(Task("deaf", "deaf", {"data": 60}))
    print("never reached")
asyncio.run(main())
"""


def is_interrupt(err: str) -> bool:
    """Whether a person sees the interruption of their own script, once, and nothing else."""
    return (
        err.startswith("Traceback")
        and err.rstrip().endswith("KeyboardInterrupt")
        and err.count("KeyboardInterrupt\n") == 1
        and "Exception ignored" not in err
    )


@pytest.mark.parametrize("where", ["inside", "waiting", "leaving"])
@pytest.mark.parametrize("body", [BODY, ASYNC_BODY], ids=["sync", "async"])
def test_ctrl_c_ends_what_runs(tmp_path: Path, body: str, where: str) -> None:
    with Program(HEAD + body, tmp_path, "0.3", where) as program:
        assert program.line() == "inside"
        time.sleep(0.1)
        program.interrupt()
        ended = program.end(20)
    assert ended.code == -2 and ended.out == "" and is_interrupt(ended.err), ended
    assert ended.seconds < 8


@pytest.mark.parametrize("where", ["inside", "waiting", "leaving"])
@pytest.mark.parametrize("body", [BODY, ASYNC_BODY], ids=["sync", "async"])
def test_a_second_ctrl_c_ends_at_once(tmp_path: Path, body: str, where: str) -> None:
    with Program(HEAD + body, tmp_path, "60", where, "slow to stop") as program:
        assert program.line() == "inside"
        time.sleep(0.1)
        program.interrupt()
        time.sleep(0.4)
        assert program.process.poll() is None  # on_stop is given its time
        begun_at = time.monotonic()
        program.interrupt()
        ended = program.end(20)
        took = time.monotonic() - begun_at
    assert ended.code == -2 and ended.out == "", ended
    assert ended.err.startswith("Traceback") and ended.err.rstrip().endswith("KeyboardInterrupt"), ended
    assert took < 1.2


# -- what may hold up the end -----------------------------------------------------------------------------


def test_handlers_and_callbacks_that_still_run_are_waited_for() -> None:
    seen: list[str] = []

    def slowly(what: str) -> None:
        time.sleep(0.2)
        seen.append(what)

    with Playground().play(workers=[Noting("ada")]) as stage:
        stage.on("task.completed", lambda _: slowly("event"))
        stage.submit(Task(processor="worker")).add_done_callback(lambda _: slowly("callback"))
    assert sorted(seen) == ["callback", "event"]


def test_a_handler_that_waits_for_a_task_that_never_ends_does_not_hold_up_the_end() -> None:
    found = []
    with pytest.raises(ZeroDivisionError), Playground().play(workers=[Sleeper("ada")]) as stage:
        stage.on("start", lambda event: found.append(stage.submit(Task("long", "worker", {"data": 60})).result()))
        stage.emit("start")
        until(lambda: stage.task_manager.overview()["open"] == 1, "the task")
        raise ZeroDivisionError
    until(lambda: found, "the handler's end")
    assert found[0].status in (TaskStatus.CANCELLED, TaskStatus.FAILED)


STUCK = """
import sys, threading, time
from callboard import Playground, ProcessWorker, Task

class Worker(ProcessWorker):
    def process(self, request):
        return 1

def stuck(_):
    time.sleep(600)

with Playground().play(workers=[Worker("ada")]) as stage:
    stage.on("task.completed", stuck)
    handle = stage.submit(Task(processor="worker"))
    handle.add_done_callback(stuck)
    handle.result()
    print("inside", flush=True)
"""


def test_a_handler_that_is_stuck_gives_way_to_ctrl_c(tmp_path: Path) -> None:
    with Program(STUCK, tmp_path) as program:
        assert program.line() == "inside"
        time.sleep(0.2)
        program.interrupt()
        time.sleep(0.1)
        program.interrupt()
        ended = program.end(5)
    assert ended.code == -2 and ended.seconds < 3, ended


# -- what the block waits for, and what it does not ---------------------------------------------------------


def test_the_block_waits_for_what_was_submitted(tally: Tally) -> None:
    with Playground().play(workers=[Sleeper("ada", tally=tally)]) as stage:
        handles = [stage.submit(Task(f"{n}", "worker", {"data": 0.1})) for n in range(4)]
    assert all(handle.done() and handle.result().success for handle in handles)
    tally.once(handles)


def test_an_exception_cancels_what_waits_and_stops_what_runs(tmp_path: Path, tally: Tally) -> None:
    mark = str(tmp_path / "begun")
    before = time.monotonic()
    with pytest.raises(ZeroDivisionError, match="mine"), Playground().play(workers=[Deaf("ada", "deaf", tally=tally)]) as stage:
        handles = [stage.submit(Task(f"{n}", "deaf", {"begun": mark})) for n in range(3)]
        begun(mark)
        raise ZeroDivisionError("mine")
    assert time.monotonic() - before < 10
    assert [handle.result(0).status for handle in handles] == [TaskStatus.CANCELLED] * 3
    assert len(tally.lines()) == 1


def test_workers_start_and_stop_in_their_own_process(tmp_path: Path) -> None:
    class Careful(ProcessWorker):
        def on_start(self) -> None:
            import os

            self.pid = os.getpid()
            (tmp_path / "started").write_text(str(self.pid))

        def process(self, request: ProcessRequest) -> int:
            return self.pid

        def on_stop(self) -> None:
            (tmp_path / "stopped").write_text(str(self.pid))

    with Playground().play(workers=[Careful("ada")]) as stage:
        pid = stage.submit(Task(processor="worker")).result(20).output
    assert (tmp_path / "started").read_text() == (tmp_path / "stopped").read_text() == str(pid)


def test_after_the_end_nothing_is_taken_and_results_stay() -> None:
    playground = Playground()
    with playground.play(workers=[Noting("ada")]) as stage:
        handle = stage.submit(Task(processor="worker", input_data={"data": [1, 2]}))
    assert handle.result().output == [1, 2]
    for call in (
        lambda: stage.submit(Task(processor="worker")),
        lambda: stage.on("task.*", print),
        lambda: stage.emit("mine"),
        lambda: stage.workers,
        lambda: stage.events(),
        lambda: stage.fan_out("worker", [1]),
        lambda: stage.task_manager,
        lambda: stage.executor.submit(print),
    ):
        with pytest.raises(PlaygroundClosed):
            call()
    assert handle.cancel() is False and handle.status is TaskStatus.COMPLETED


def test_a_playground_may_play_again_after_its_end() -> None:
    playground = Playground()
    for number in range(2):
        with playground.play(workers=[Noting("ada")]) as stage:
            assert stage.submit(Task(processor="worker", input_data={"data": number})).result(20).output == number


async def _played_twice(playground: Playground) -> list[object]:
    outputs = []
    for number in range(2):
        async with playground.play(workers=[Noting("ada")]) as stage:
            result = await stage.add_and_execute_task(Task(processor="worker", input_data={"data": number}))
            outputs.append(result.output)
    return outputs


def test_a_playground_may_play_again_in_the_same_loop() -> None:
    assert asyncio.run(_played_twice(Playground())) == [0, 1]
