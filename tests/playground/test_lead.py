"""Who waits for a task does the manager's work meanwhile: it may be interrupted, run out of time, or be many, and nothing is harmed."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callboard import Playground, task
from callboard.actors.led import LedMailbox
from tests.playground.crew import until
from tests.playground.program import Program


class Leads:
    """How often a thread has led."""

    def __init__(self) -> None:
        self.count = 0


@pytest.fixture
def leads(monkeypatch: pytest.MonkeyPatch) -> Leads:
    counted = Leads()
    led = LedMailbox.has_led

    def count(mailbox: LedMailbox, more: bool) -> None:
        counted.count += 1
        led(mailbox, more)

    monkeypatch.setattr(LedMailbox, "has_led", count)
    return counted


@pytest.fixture(scope="module")
def stage() -> Iterator[Playground]:
    with Playground().play(workers=2) as stage:
        yield stage


def same(value: int) -> int:
    return value


def held(path: str) -> str:
    Path(f"{path}.begun").touch()
    while not Path(path).exists():
        time.sleep(0.002)
    return path


def trips(stage: Playground, count: int) -> None:
    for number in range(count):
        assert stage.executor.submit(same, number).result(20) == number


def lead(stage: Playground, leads: Leads, times: int) -> None:
    """Wait alone again and again, until this thread has led so often."""
    end = time.monotonic() + 20
    while leads.count < times:
        trips(stage, 20)
        assert time.monotonic() < end


# -- in a script, where Ctrl-C and other signals come to the thread that leads ------------------------------

HEAD = """
import os, random, signal, sys, threading, time
from callboard import Playground
from callboard.actors.led import LedMailbox

signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever this was started by
count, led = 0, LedMailbox.has_led

def counted(mailbox, more):
    global count
    count += 1
    led(mailbox, more)

LedMailbox.has_led = counted

def same(value):
    return value

def trips(number):
    for each in range(number):
        assert stage.executor.submit(same, each).result(20) == each
"""

STORM = """
over = threading.Event()

def shoot():
    chance = random.Random(1)
    while not over.wait(chance.random() * 0.002):
        os.kill(os.getpid(), signal.SIGINT)

with Playground().play(workers=2) as stage:
    trips(100)
    shooter = threading.Thread(target=shoot)
    shooter.start()
    interrupted = number = 0
    until = time.monotonic() + 2
    while True:
        try:
            if time.monotonic() > until:
                over.set()
                shooter.join()
                break
            number += 1
            assert stage.executor.submit(same, number).result(20) == number
        except KeyboardInterrupt:
            interrupted += 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert interrupted > 100 and count > 100, (interrupted, count)
    trips(100)
print("unharmed")
"""

ALARM = """
class Enough(BaseException):
    pass

def enough(number, frame):
    raise Enough

with Playground().play(workers=2) as stage:
    trips(100)
    assert count > 50, count
    signal.signal(signal.SIGALRM, enough)
    before = count
    for _ in range(300):
        try:
            signal.setitimer(signal.ITIMER_REAL, random.random() * 0.001 + 1e-6)
            trips(20)
            time.sleep(20)
        except Enough:
            pass
    assert count == before, "what a person's handler might break into is not for the main thread"
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    trips(100)
    assert count > before
print("unharmed")
"""

DEEP = """
def deep(number):
    assert stage.executor.submit(same, number).result(20) == number
    deep(number + 1)

with Playground().play(workers=2) as stage:
    trips(50)
    for _ in range(3):
        try:
            deep(0)
        except RecursionError:
            pass
        trips(50)
    assert count > 500, count
print("unharmed")
"""


LONG = """
try:
    with Playground().play(workers=1) as stage:
        trips(50)
        assert count > 20, count
        future = stage.executor.submit(time.sleep, 60)
        print("waits", flush=True)
        future.result()
except KeyboardInterrupt:
    print("heard")
"""


def test_ctrl_c_is_heard_at_once_by_who_leads(tmp_path: Path) -> None:
    with Program(HEAD + LONG, tmp_path) as program:
        assert program.line() == "waits"
        time.sleep(0.2)  # it leads by now, most likely; it must be heard either way
        program.interrupt()
        ended = program.end(20)
    assert (ended.code, ended.out, ended.err) == (0, "heard\n", "")


@pytest.mark.parametrize("script", [STORM, ALARM, DEEP], ids=["ctrl-c", "alarm", "recursion"])
def test_what_breaks_in_harms_nothing(script: str, tmp_path: Path) -> None:
    with Program(HEAD + script, tmp_path) as program:
        ended = program.end(50)
    assert (ended.code, ended.out, ended.err) == (0, "unharmed\n", "")


# -- in this process ---------------------------------------------------------------------------------------


def test_who_waits_alone_leads(stage: Playground, leads: Leads) -> None:
    lead(stage, leads, 100)
    assert leads.count >= 100


def test_its_time_runs_out_as_for_anybody(stage: Playground, leads: Leads, tmp_path: Path) -> None:
    lead(stage, leads, 10)
    for number in range(5):
        path = tmp_path / str(number)
        future = stage.executor.submit(held, str(path))
        with pytest.raises(TimeoutError):
            future.result(0.05)
        path.touch()
        assert future.result(20) == str(path)
        trips(stage, 5)


def test_what_was_said_before_a_task_is_heard_before_it(stage: Playground, leads: Leads) -> None:
    lead(stage, leads, 10)
    for number in range(100):
        trips(stage, 3)
        shared: Any = stage.put([number])  # which goes to the manager without waiting for it
        assert stage.executor.submit(sum, shared).result(20) == number
    heard: list[tuple[str, object]] = []
    said = stage.on("lead.said", lambda event: heard.append(("said", event.data["number"])))
    submitted = stage.on("task.submitted", lambda event: heard.append(("submitted", event.task_id)))
    tasks = []
    for number in range(100):
        trips(stage, 3)
        stage.emit("lead.said", number=number)
        handle = stage.submit(task(same).task(number))
        assert handle.result(20).unwrap() == number
        tasks.append(handle.task_id)
    until(lambda: ("submitted", tasks[-1]) in heard, "the last event")
    for listening in (said, submitted):
        listening.cancel()
    assert all(heard.index(("said", number)) < heard.index(("submitted", task_id)) for number, task_id in enumerate(tasks))


def test_many_threads_that_wait_all_get_what_is_theirs(stage: Playground) -> None:
    wrong: list[BaseException] = []

    def run(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for _ in range(200):
                if chance.random() < 0.1:
                    futures = [stage.executor.submit(same, number) for number in range(5)]
                    assert [future.result(20) for future in futures] == list(range(5))
                else:
                    trips(stage, 1)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    run(99)
    for thread in threads:
        thread.join(40)
    assert wrong == []


def test_who_is_told_in_another_way_is_told_though_nobody_leads(stage: Playground, leads: Leads) -> None:
    async def awaited() -> None:
        assert (await stage.add_and_execute_task(task(same).task(3))).unwrap() == 3
        assert (await stage.submit(task(same).task(4))).unwrap() == 4

    for _ in range(20):
        trips(stage, 4)
        heard: queue.SimpleQueue[object] = queue.SimpleQueue()
        stage.executor.submit(same, 1).add_done_callback(heard.put)
        heard.get(timeout=20)
        trips(stage, 4)
        future = stage.executor.submit(same, 2)
        assert concurrent.futures.wait([future], 20).done == {future}
        trips(stage, 4)
        asyncio.run(awaited())
    assert leads.count > 10


def test_what_waits_for_the_task_of_one_that_leads_is_begun(stage: Playground, tmp_path: Path) -> None:
    trips(stage, 20)
    gate = tmp_path / "gate"
    first = task(held).task(str(gate))
    handle = stage.submit(first)
    waiter = threading.Thread(target=handle.result, args=(20,))
    waiter.start()
    second = stage.submit(task(held).task(first))
    gate.touch()
    assert second.result(20).unwrap() == str(gate)
    waiter.join(20)
    assert not waiter.is_alive()


def test_the_block_is_left_while_another_thread_leads(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    got: list[str] = []
    with Playground().play(workers=1) as stage:
        trips(stage, 30)

        def run() -> None:
            trips(stage, 30)
            got.append(stage.executor.submit(held, str(gate)).result(20))

        waiter = threading.Thread(target=run)
        waiter.start()
        until(Path(f"{gate}.begun").exists, "the task of the other thread")
        threading.Timer(0.1, gate.touch).start()
    waiter.join(20)
    assert got == [str(gate)]


def test_who_leads_is_not_kept_when_the_block_is_left_by_an_exception(tmp_path: Path) -> None:
    ended: list[BaseException] = []
    with pytest.raises(ZeroDivisionError), Playground().play(workers=1) as stage:
        trips(stage, 30)

        def run() -> None:
            trips(stage, 30)
            try:
                stage.executor.submit(held, str(tmp_path / "never")).result(20)
            except BaseException as error:
                ended.append(error)

        waiter = threading.Thread(target=run)
        waiter.start()
        until((tmp_path / "never.begun").exists, "the task of the other thread")
        raise ZeroDivisionError
    waiter.join(20)
    assert [type(error) for error in ended] == [concurrent.futures.CancelledError]


def test_a_worker_that_dies_meanwhile_is_replaced(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    with Playground().play(workers=1) as stage:
        trips(stage, 30)
        for number in range(3):
            result = stage.submit(task(dies_once).task(f"{mark}{number}")).result(20)
            assert result.unwrap() == 2 and result.attempts == 2
            trips(stage, 10)


def dies_once(path: str) -> int:
    import os

    if not Path(path).exists():
        Path(path).touch()
        os._exit(3)
    return 2
