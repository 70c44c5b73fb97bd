"""More than is taken off: tasks that nobody runs, events that nobody reads."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from callboard import Playground, Task, TaskHandle, TaskStatus, connect
from callboard.messages.errors import BacklogFull
from tests.faults.conftest import Start
from tests.faults.crew import Hand, await_lines, lines, order

Figure = Callable[[str, object], None]


def resident() -> int:
    """Bytes of memory that this process has."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class Enough(Exception):
    """The test has seen what it wanted."""


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("no_leaks")
def test_a_waiting_task_takes_little_memory_and_submit_waits_for_room(full: bool, figure: Figure) -> None:
    count = 1_000_000 if full else 100_000
    with pytest.raises(Enough), Playground(max_backlog=count).play(workers=[Hand("ada")]) as stage, stopped(stage.workers[0].pid):
        before = resident()
        handles = [stage.submit(Task("echo", "worker", {"data": ("echo", number)})) for number in range(count)]
        while stage.task_manager.overview()["open"] < count:
            time.sleep(0.02)
        each = (resident() - before) / count
        figure(f"{count:,} waiting tasks: bytes each", each)
        assert each < 1500
        submitted: list[TaskHandle] = []
        late = threading.Thread(target=lambda: submitted.append(stage.submit(order("echo", 7))))
        late.start()
        late.join(0.3)
        assert late.is_alive()
        assert handles[-1].cancel()
        late.join(10)
        assert not late.is_alive()
        assert submitted[0].status is TaskStatus.PENDING
        raise Enough
    assert handles[0].result(10).status is TaskStatus.CANCELLED
    assert submitted[0].result(10).status is TaskStatus.CANCELLED


@pytest.mark.usefixtures("no_leaks")
def test_a_full_backlog_raises_where_that_was_asked_for(tmp_path: Path, port: int) -> None:
    with Playground(max_backlog=5, when_full="raise", port=port).play(workers=[Hand("ada")]) as stage, stopped(stage.workers[0].pid):
        handles = [stage.submit(order("echo", number)) for number in range(5)]
        with pytest.raises(BacklogFull, match="5 tasks are open, which is max_backlog"):
            stage.submit(order("echo", 5))
        with connect(f"tcp://127.0.0.1:{port}", max_backlog=2, when_full="raise") as board:
            theirs = [board.submit(order("echo", number)) for number in range(2)]
            with pytest.raises(BacklogFull, match="2 tasks"):
                board.submit(order("echo", 2))
            for handle in theirs:
                assert handle.cancel()
        assert handles[0].cancel()
        assert handles[0].result(5).status is TaskStatus.CANCELLED
        assert stage.submit(order("echo", 6)).cancel()


@pytest.mark.usefixtures("no_leaks")
def test_a_full_backlog_never_stops_an_event_loop() -> None:
    async def script() -> None:
        async with Playground(max_backlog=3).play(workers=[Hand("ada")]) as stage:
            with stopped(stage.workers[0].pid):
                for number in range(3):
                    stage.submit(order("echo", number))
                with pytest.raises(BacklogFull):
                    stage.submit(order("echo", 3))
                waiting = asyncio.ensure_future(stage.add_and_execute_task(order("echo", 4)))
                await asyncio.sleep(0.1)
                assert not waiting.done()
            assert (await waiting).output == 4

    asyncio.run(script())


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("no_leaks")
def test_a_stopped_subscriber_harms_nobody_and_sees_what_it_missed(
    full: bool, tmp_path: Path, port: int, start: Start, figure: Figure
) -> None:
    count = 200_000 if full else 20_000
    key, heard = tmp_path / "key", tmp_path / "heard"
    with Playground(port=port, key_file=key).play(workers=[Hand("ada")]) as stage:
        listener = start("listener", f"tcp://127.0.0.1:{port}", key, heard)
        mine: list[int] = []
        stage.on("tick", lambda event: mine.append(event.data["number"]))
        stage.emit("tick", number=-1)
        await_lines(heard, 1)
        text = "x" * 1000
        with stopped(listener.pid):
            begun = time.monotonic()
            stage.emit("tick", number=0, text=text)
            before = resident()
            for number in range(1, count):
                stage.emit("tick", number=number, text=text)
                if number % 500 == 0:
                    time.sleep(2.0 / (count / 500))  # longer than it takes to be taken for gone
            while len(mine) <= count:
                time.sleep(0.01)
            assert stage.submit(order("echo", 1)).result(10).output == 1
            grown = resident() - before
            figure(f"stopped subscriber, {count:,} events of 1 kB: memory grown (MB)", grown / 1e6)
            assert time.monotonic() - begun > 1.6
        assert mine == list(range(-1, count))
        assert grown < 60e6  # what fits under the bound on waiting messages; without one it were all of them
        until = time.monotonic() + 15
        while not any(line.startswith("events.gap") for line in lines(heard)):
            assert time.monotonic() < until, lines(heard)[-5:]
            stage.emit("tick", number=count)
            time.sleep(0.05)
        told = [line.split() for line in lines(heard)]
        missed = sum(int(number) for topic, number in told if topic == "events.gap")
        seen = sum(topic == "tick" for topic, _ in told)
        figure("stopped subscriber: events heard, told as missed", f"{seen:,}, {missed:,}")
        assert missed > 0
