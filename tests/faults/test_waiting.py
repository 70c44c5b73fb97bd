"""When something waits, a person can ask why."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from callboard import Playground, ProcessRequest, RetryPolicy, Task, connect
from callboard.messages.errors import UnknownTask
from tests.faults.crew import AsyncHand, Hand, await_lines, order
from tests.playground.crew import until


class Sticky(Hand):
    """Gets stuck where a stack shows it."""

    def process(self, request: ProcessRequest) -> str:
        if request.data == "stuck":
            return self.wait_for_a_lock_that_nobody_opens(request)
        return str(super().process(request))

    def wait_for_a_lock_that_nobody_opens(self, request: ProcessRequest) -> str:
        never = threading.Event()
        while not request.cancelled:
            never.wait(0.05)
        return "gave up"


@pytest.mark.usefixtures("no_leaks")
def test_explain_says_what_a_task_needs_who_could_and_what_is_before_it(tmp_path: Path, port: int) -> None:
    path = tmp_path / "marks"
    crew = [Hand("ada", skills={"oil": 3}), Hand("bob", role="varnish")]
    with Playground(port=port).play(workers=crew) as stage, connect(f"tcp://127.0.0.1:{port}") as board:
        running = stage.submit(order("mark", (str(path), 60.0)))
        await_lines(path, 1)
        waiting = [stage.submit(order("echo", number, skills={"oil": 2})) for number in range(3)]
        blocked = stage.submit(Task("frame", "varnish", {"data": ("echo", 1)}, dependencies=[running.task_id, "not-yet"]))
        nobody = stage.submit(order("echo", 1, skills={"oil": 9}))
        policy = RetryPolicy(max_attempts=2, initial_delay_seconds=60)
        again = stage.submit(order("fail", "no", processor="varnish", retry_policy=policy))
        until(lambda: "it waits to be tried again" in stage.explain(again.task_id), "its failure")
        for asked in (stage, board):
            said = asked.explain(running.task_id)
            assert "is running" in said
            assert "runs on worker 'ada' (attempt 1)" in said
            said = asked.explain(waiting[2].task_id)
            assert "it needs role 'worker'" in said and "oil" in said
            assert "who could take it: 'ada' (1 of 1 slots taken)" in said
            assert "2 task(s) of the same needs are before it" in said
            said = asked.explain(blocked.task_id)
            assert "it waits for 2 dependency(ies)" in said
            assert f"{running.task_id} ('mark'): running" in said
            assert "not-yet: nobody has submitted it" in said
            assert "nobody who is connected could take it" in asked.explain(nobody.task_id)
            assert "it waits to be tried again after 1 failure(s)" in asked.explain(again.task_id)
            with pytest.raises(UnknownTask):
                asked.explain("never")
        for handle in (blocked, nobody, again, *waiting):
            assert handle.cancel()
        assert running.cancel(force=True)
        assert "it ended with: cancelled" in stage.explain(blocked.task_id)


@pytest.mark.usefixtures("no_leaks")
def test_a_dump_shows_where_each_worker_stands(port: int) -> None:
    crew = [Sticky("ada"), AsyncHand("eve", role="loop"), Hand("bob", role="c")]
    with Playground(port=port).play(workers=crew) as stage, connect(f"tcp://127.0.0.1:{port}") as board:
        stuck = stage.submit(Task("stuck", "worker", {"data": "stuck"}))
        sleeping = stage.submit(Task("dream", "loop", {"data": 30.0}))
        hogging = stage.submit(order("hog", 3, processor="c"))
        for handle in (stuck, sleeping, hogging):
            while not handle.running():
                time.sleep(0.01)
        time.sleep(0.3)
        told = {row["name"]: row for row in board.task_manager.dump()}
        assert "1 running, 0 waiting" in told["ada"]["text"]
        assert f"task 'stuck' ({stuck.task_id})" in told["ada"]["text"]
        assert "wait_for_a_lock_that_nobody_opens" in told["ada"]["text"]
        assert "never.wait(0.05)" in told["ada"]["text"]
        assert "coroutine" in told["eve"]["text"]
        assert "await asyncio.sleep(float(request.data))" in told["eve"]["text"]
        assert told["bob"]["text"] is None
        assert told["bob"]["pid"] in {worker.pid for worker in stage.workers}
        assert stuck.cancel()
        assert sleeping.cancel()
        assert hogging.result(20).success
