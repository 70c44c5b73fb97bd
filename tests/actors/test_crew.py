"""The threads that run attempts: as many as there are slots, more while some are lent."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from callboard.actors.attempt import Attempt
from callboard.actors.crew import Crew
from callboard.messages.spec import TaskSpec
from tests.playground.crew import until

SPEC = TaskSpec()


def attempts(count: int, start: int = 0) -> list[Attempt]:
    return [Attempt(f"task-{number}", f"{number}", 1, SPEC, b"", 0) for number in range(start, start + count)]


class Stage:
    """Runs attempts that wait at a gate, and notes who ran under which seat."""

    def __init__(self, slots: int) -> None:
        self.crew = Crew(self.run, slots)
        self.gates: dict[str, threading.Event] = {}
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.seats: dict[str, int] = {}
        self.most = 0
        self.taken: set[int] = set()
        self.doubled = False
        self._lock = threading.Lock()

    def hold(self, *ids: str) -> None:
        self.gates.update({task_id: threading.Event() for task_id in ids})

    def run(self, attempt: Attempt, seat: int) -> None:
        with self._lock:
            self.doubled = self.doubled or seat in self.taken
            self.taken.add(seat)
            self.begun.append(attempt.task_id)
            self.seats[attempt.task_id] = seat
            self.most = max(self.most, len(self.begun) - len(self.ended))
        gate = self.gates.get(attempt.task_id)
        if gate is not None:
            gate.wait(20)
        with self._lock:
            self.ended.append(attempt.task_id)
            self.taken.discard(seat)


def test_attempts_run_in_the_order_in_which_they_came() -> None:
    stage = Stage(1)
    stage.crew.add(attempts(50))
    until(lambda: len(stage.ended) == 50, "the end")
    assert stage.begun == [f"task-{number}" for number in range(50)] and stage.most == 1
    assert set(stage.seats.values()) == {0}


def test_as_many_at_once_as_there_are_slots() -> None:
    stage = Stage(3)
    stage.hold(*(f"task-{number}" for number in range(6)))
    stage.crew.add(attempts(6))
    until(lambda: len(stage.begun) == 3, "three beginnings")
    time.sleep(0.02)
    assert len(stage.begun) == 3 and sorted(stage.seats.values()) == [0, 1, 2]
    for gate in stage.gates.values():
        gate.set()
    until(lambda: len(stage.ended) == 6, "the end")
    assert stage.most == 3 and set(stage.seats.values()) == {0, 1, 2}


def test_each_is_run_once_however_they_come() -> None:
    stage = Stage(4)
    for start in range(0, 2000, 5):
        stage.crew.add(attempts(5, start))
    until(lambda: len(stage.ended) == 2000, "the end")
    assert len(set(stage.begun)) == 2000 and stage.most <= 4 and not stage.doubled


def test_what_was_not_begun_can_be_taken_back() -> None:
    stage = Stage(1)
    stage.hold("task-0")
    stage.crew.add(attempts(6))
    until(lambda: stage.begun == ["task-0"], "the beginning")
    assert [each.task_id for each in stage.crew.take_back({"task-2", "task-4", "task-0"})] == ["task-2", "task-4"]
    assert [each.task_id for each in stage.crew.take_back(None)] == ["task-1", "task-3", "task-5"]
    assert stage.crew.take_back(None) == []
    stage.gates["task-0"].set()
    stage.crew.add(attempts(1, 7))
    until(lambda: stage.ended == ["task-0", "task-7"], "the end")


def test_a_lent_slot_runs_another_and_comes_back() -> None:
    stage = Stage(1)
    stage.hold("task-0", "task-1", "task-2")
    stage.crew.add(attempts(4))
    until(lambda: stage.begun == ["task-0"], "the first")
    stage.crew.lend()
    until(lambda: stage.begun == ["task-0", "task-1"], "the second")
    stage.crew.lend()
    until(lambda: stage.begun == ["task-0", "task-1", "task-2"], "the third")
    assert sorted(stage.seats.values()) == [0, 1, 2]
    stage.crew.take_back_slot()
    stage.crew.take_back_slot()
    stage.gates["task-0"].set()
    stage.gates["task-1"].set()
    until(lambda: len(stage.ended) == 2, "two ends")
    time.sleep(0.02)
    assert len(stage.begun) == 3  # the slot is taken until the third has ended
    stage.gates["task-2"].set()
    until(lambda: len(stage.ended) == 4, "the end")


def test_the_calling_thread_may_be_a_slot() -> None:
    stage = Stage(1)
    stage.crew.put(attempts(3))
    assert stage.crew.run_here(10.0) is False
    assert stage.ended == ["task-0", "task-1", "task-2"] and set(stage.seats.values()) == {0}
    stage.crew.put(attempts(2, 3))
    assert stage.crew.run_here(0.0) is True and stage.ended[-1] == "task-3"  # the time was up after one
    assert stage.crew.run_here(0.0) is False or stage.crew.run_here(0.0) is False
    assert stage.ended[-1] == "task-4"


def test_the_calling_thread_does_not_push_in() -> None:
    stage = Stage(1)
    stage.hold("task-0")
    stage.crew.add(attempts(2))
    until(lambda: stage.begun == ["task-0"], "the beginning")
    assert stage.crew.run_here(1.0) is False and stage.begun == ["task-0"]
    stage.gates["task-0"].set()
    until(lambda: len(stage.ended) == 2, "the end")


def test_coroutines_run_in_one_loop_beside_each_other() -> None:
    crew = Crew(lambda attempt, seat: None, 2)
    loops: list[Any] = []

    async def work(value: int) -> int:
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0.05)
        return value

    results: list[int] = []
    one, two = attempts(2)
    threads = [threading.Thread(target=lambda each=each: results.append(crew.wait_for(work(1), each))) for each in (one, two)]
    begun = time.monotonic()
    [thread.start() for thread in threads]  # type: ignore[func-returns-value]
    [thread.join(10) for thread in threads]  # type: ignore[func-returns-value]
    assert results == [1, 1] and len(set(map(id, loops))) == 1 and time.monotonic() - begun < 2
    assert one.future is not None and crew.coroutines() == set()
    end(crew)


def test_a_coroutine_of_an_attempt_that_was_halted_is_cancelled() -> None:
    crew = Crew(lambda attempt, seat: None, 1)
    (attempt,) = attempts(1)
    attempt.halted = True

    async def work() -> None:
        await asyncio.sleep(30)

    import concurrent.futures

    with pytest.raises(concurrent.futures.CancelledError):
        crew.wait_for(work(), attempt)
    end(crew)


def end(crew: Crew) -> None:
    """What no worker does, whose process ends: end its event loop."""
    loop = crew.loop

    async def rest() -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    asyncio.run_coroutine_threadsafe(rest(), loop).result(10)
    assert crew.coroutines() == set()
    crew._loop = None
    loop.call_soon_threadsafe(loop.stop)
    until(lambda: not loop.is_running(), "the end of the loop")
    loop.close()
