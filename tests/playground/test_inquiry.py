"""What a person can ask about tasks and workers."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path

import pytest

from callboard import Playground, Task, TaskStatus, UnknownTask
from tests.playground.crew import Deaf, Noting, begun, until


def test_the_status_before_during_and_after(tmp_path: Path) -> None:
    mark = str(tmp_path / "begun")
    with Playground().play(workers=[Deaf("solo", "desk", skills={"oil": 3})]) as stage:
        end = tmp_path / "end"
        first = stage.submit(Task("first", "desk", {"begun": mark, "until": str(end)}, priority=2, skills={"oil": 2}))
        begun(mark)
        second = stage.submit(Task("second", "desk", {"begun": mark, "seconds": 0.0}))
        task = stage.task_manager.get_task(first.task_id)
        assert task.status is TaskStatus.RUNNING and first.running()
        assert (task.name, task.processor, task.skills, task.priority, task.worker) == ("first", "desk", {"oil": 2}, 2, "solo")
        assert task.attempts == 1 and stage.task_manager.get_task(second.task_id).attempts == 0
        assert stage.task_manager.get_task(second.task_id).status is TaskStatus.PENDING and not second.running()
        end.touch()
        assert first.result(20).success and second.result(20).success
        after = stage.task_manager.get_task(first.task_id)
        assert after.status is TaskStatus.COMPLETED and after.attempts == 1 and after.worker == "solo" and after.error is None
        broken = stage.submit(Task("broken", "desk", {}))
        broken.result(20)
        known = stage.task_manager.get_task(broken.task_id)
        assert known.status is TaskStatus.FAILED and "KeyError" in str(known.error)
    assert (first.status, broken.status) == (TaskStatus.COMPLETED, TaskStatus.FAILED)


def test_an_id_may_be_asked_for_by_the_task_object() -> None:
    with Playground().play(workers=[Noting("solo")]) as stage:
        task = Task("greeting", "worker", {"data": "hello"})
        assert asyncio.run(stage.add_and_execute_task(task)).output == "hello"
        task_status = stage.task_manager.get_task(task.id)
        assert task_status.status is TaskStatus.COMPLETED and f"{task_status.status}" == "completed"


def test_an_unknown_id_is_said_to_be_one() -> None:
    with Playground().play(workers=0) as stage, pytest.raises(UnknownTask, match="'nobody'"):
        stage.task_manager.get_task("nobody")


def test_who_is_connected(tmp_path: Path) -> None:
    before = time.time()
    crew = [Deaf("ada", "paint", skills={"oil": 6, "gpu": 1}, slots=2), Noting("bob", "carve"), Noting("bob", "carve")]
    with Playground().play(workers=crew) as stage:
        workers = {worker.id: worker for worker in stage.workers}
        assert sorted(worker.name for worker in workers.values()) == ["ada", "bob", "bob"]
        ada = next(worker for worker in stage.llm_agents if worker.name == "ada")
        assert (ada.role, ada.skills, ada.slots, ada.load, ada.host) == ("paint", {"oil": 6, "gpu": 1}, 2, 0, socket.gethostname())
        assert before - 1 < ada.since <= time.time()
        pids = {worker.pid for worker in workers.values()}
        assert len(pids) == 3 and os.getpid() not in pids
        for pid in pids:
            os.kill(pid, 0)
        mark, end = str(tmp_path / "begun"), tmp_path / "end"
        handles = [stage.submit(Task(processor="paint", input_data={"begun": mark, "until": str(end)})) for _ in range(2)]
        begun(mark, 2)
        assert [worker.load for worker in stage.workers if worker.name == "ada"] == [2]
        end.touch()
        [handle.result(20) for handle in handles]
        until(lambda: all(worker.load == 0 for worker in stage.workers), "the end of the load")


def test_an_explanation_says_what_a_task_waits_for() -> None:
    with Playground().play(workers=[Noting("ada", "paint", skills={"oil": 3})]) as stage:
        short = stage.submit(Task("short", "paint", skills={"oil": 5}))
        blocked = stage.submit(Task("blocked", "paint", dependencies=[short.task_id]))
        assert "oil=5" in stage.explain(short.task_id) and "nobody who is connected" in stage.explain(short.task_id)
        assert short.task_id in stage.explain(blocked.task_id) and "'short'" in stage.explain(blocked.task_id)
        done = stage.submit(Task("done", "paint"))
        done.result(20)
        assert "completed" in stage.explain(done.task_id)
        short.cancel()
