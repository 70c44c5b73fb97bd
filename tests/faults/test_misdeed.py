"""Tasks that do to their process, or to those around it, what no task should."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from callboard import Playground, ProcessRequest, ProcessWorker, Task, TaskStatus
from callboard.messages.errors import WorkerDied
from tests.faults.crew import Hand, await_lines, lines, note, order, outputs

Figure = Callable[[str, object], None]


class Rogue(Hand):
    """Knows more orders than it should."""

    def close_all(self, request: ProcessRequest, argument: Any) -> str:
        """Close every descriptor of the process, those of its sockets included; it dies of that a little later."""
        os.closerange(0, 4096)
        return "closed"

    def fork(self, request: ProcessRequest, argument: str) -> str:
        """Fork, and let the child come back from the task as well."""
        child = os.fork()
        note(argument, str(os.getpid()))
        if child:
            os.waitpid(child, 0)
        return "child" if child == 0 else "parent"

    def exit(self, request: ProcessRequest, argument: Any) -> None:
        """What a script says to end."""
        sys.exit(3)

    def nameless(self, request: ProcessRequest, argument: Any) -> None:
        """Raise what cannot even be put in words."""
        raise Nameless

    def bomb(self, request: ProcessRequest, argument: Any) -> Any:
        """Answer with what ends the program that looks at it."""
        return Bomb()

    def parent(self, request: ProcessRequest, argument: float) -> None:
        """Kill the process that this one was forked from, and all workers with it."""
        time.sleep(argument)
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(30)


class Nameless(BaseException):
    """Takes the program along that asks for its text."""

    def __str__(self) -> str:
        raise SystemExit(1)

    __repr__ = __str__


class Bomb:
    """Ends the program when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.exit, (3,)


class Loop(ProcessWorker):
    """Does to its event loop what the task's name says."""

    async def process(self, request: ProcessRequest) -> str:
        if request.name == "exit":
            sys.exit(3)
        elif request.name == "interrupt":
            raise KeyboardInterrupt
        elif request.name == "stop":
            asyncio.get_running_loop().stop()
        elif request.name == "beside":
            beside = asyncio.get_running_loop().create_task(self._exit())
            await asyncio.wait([beside])
            assert isinstance(beside.exception(), SystemExit)
        await asyncio.sleep(0.01)
        return request.name

    async def _exit(self) -> None:
        sys.exit(4)


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize(("what", "words"), [("close_all", "was killed by SIGABRT"), ("leave", "ended with exit code 0")])
def test_a_task_that_takes_its_process_along_once_it_has_returned_is_given_up_alone(what: str, words: str) -> None:
    with Playground().play(workers=[Rogue("ada"), Rogue("bob")]) as stage:
        good = [stage.submit(order("echo", number)) for number in range(20)]
        bad = stage.submit(order(what, 0))
        good += [stage.submit(order("echo", number)) for number in range(20, 40)]
        with pytest.raises(WorkerDied, match=words):
            bad.result(20).unwrap()
        assert outputs(good) == list(range(40))


@pytest.mark.usefixtures("no_leaks")
def test_a_forked_child_that_comes_back_is_no_second_worker(tmp_path: Path) -> None:
    path = tmp_path / "pids"
    with Playground().play(workers=[Rogue("ada")]) as stage:
        (worker,) = stage.workers
        assert outputs([stage.submit(order("fork", str(path))) for _ in range(3)]) == ["parent"] * 3
        assert outputs([stage.submit(order("pid", 0))]) == [worker.pid]
        assert [agent.pid for agent in stage.workers] == [worker.pid]
        children = {int(line) for line in lines(path)} - {worker.pid}
        assert len(children) == 3
        assert not any(psutil.pid_exists(pid) for pid in children)


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("what", ["exit", "nameless", "bomb"])
def test_what_ends_other_programs_is_a_failure_like_any_other(what: str) -> None:
    with Playground().play(workers=[Rogue("ada")]) as stage:
        result = stage.submit(order(what)).result(10)
        assert result.status is TaskStatus.FAILED
        assert result.attempts == 1
        assert stage.submit(order("echo", 1)).result(10).output == 1


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize(("name", "ends"), [("exit", False), ("interrupt", False), ("stop", True), ("beside", True)])
def test_an_event_loop_outlives_what_tasks_do_to_it(name: str, ends: bool) -> None:
    with Playground().play(workers=[Loop("ada", slots=2)]) as stage:
        sleeping = stage.submit(Task("sleep", "worker"))
        result = stage.submit(Task(name, "worker")).result(10)
        assert result.success is ends
        assert stage.submit(Task("after", "worker")).result(10).output == "after"
        assert sleeping.result(10).output == "sleep"


@pytest.mark.usefixtures("no_leaks")
def test_many_tasks_that_kill_their_process_do_not_use_up_their_worker() -> None:
    """Each death is charged to its task: the worker's own budget of restarts, 20 a minute, is not for that."""
    with Playground().play(workers=[Hand("ada")]) as stage:
        bad = [stage.submit(order("leave", 9)) for _ in range(8)]
        good = [stage.submit(order("echo", number)) for number in range(100)]
        for handle in bad:
            with pytest.raises(WorkerDied, match="ended with exit code 9, 3 times in all"):
                handle.result(30).unwrap()
        assert outputs(good) == list(range(100))
        assert all(handle.result().attempts == 1 for handle in good)


@pytest.mark.usefixtures("no_leaks")
def test_work_goes_on_when_all_workers_are_killed_at_once(figure: Figure) -> None:
    delays: list[float] = []
    with Playground().play(workers=[Hand(name) for name in ("ada", "bob", "eve", "kim")]) as stage:
        dead: set[int] = set()
        for number in range(5):
            while len(alive := {worker.pid for worker in stage.workers} - dead) < 4:
                time.sleep(0.01)
            killed = time.monotonic()
            for pid in alive:
                os.kill(pid, signal.SIGKILL)
            dead |= alive
            assert stage.submit(order("echo", number)).result(20).output == number
            delays.append(time.monotonic() - killed)
    figure("all four workers killed: the next result, median and worst of 5 (s)", f"{statistics.median(delays):.4f}, {max(delays):.4f}")


@pytest.mark.usefixtures("no_leaks")
def test_workers_come_back_when_the_process_that_forks_them_is_killed(tmp_path: Path, figure: Figure) -> None:
    path = tmp_path / "marks"
    with Playground().play(workers=[Rogue("ada"), Rogue("bob")]) as stage:
        before = {agent.pid for agent in stage.workers}
        handles = [stage.submit(order("mark", (str(path), 0.3))) for _ in range(6)]
        await_lines(path, 2)
        parent = psutil.Process(before.pop()).ppid()
        os.kill(parent, signal.SIGKILL)
        killed = time.monotonic()
        await_lines(path, 3)
        figure("the workers' parent killed: their tasks assigned again after (s)", time.monotonic() - killed)
        assert outputs(handles) == [handle.task_id for handle in handles]
        with pytest.raises(WorkerDied):
            stage.submit(order("parent", 0.0)).result(20).unwrap()
        assert stage.submit(order("echo", 1)).result(20).output == 1
