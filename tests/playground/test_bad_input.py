"""What cannot work: a named error, at once, that says what to do; and everything else goes on."""

from __future__ import annotations

import asyncio
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from callboard import (
    AlreadyPlaying,
    BacklogFull,
    CallboardError,
    CannotBind,
    CannotConnect,
    CannotPickle,
    DependencyCycle,
    DuplicateTask,
    Event,
    InvalidSetting,
    InvalidTask,
    InvalidWorker,
    PayloadTooLarge,
    Playground,
    PlaygroundClosed,
    ProcessRequest,
    ProcessWorker,
    RetryPolicy,
    Task,
    TaskStatus,
    WorkerStartFailed,
    connect,
)
from tests.playground.crew import Deaf, Noting


@pytest.fixture(scope="module")
def stage() -> Iterator[Playground]:
    with Playground(max_payload=1_000_000).play(workers=[Noting("ada")]) as playground:
        yield playground


@pytest.fixture(autouse=True)
def goes_on(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test did wrong, the shared stage works on."""
    yield
    if "stage" in request.fixturenames:
        stage: Playground = request.getfixturevalue("stage")
        assert stage.submit(Task(processor="worker", input_data={"data": 1})).result(20).output == 1
        assert stage.task_manager.overview()["open"] == 0


# -- tasks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        ({"processor": 7}, "processor"),
        ({"processor": ""}, "processor"),
        ({"processor": b"bytes"}, "processor"),
        ({"processor": ["a", "list"]}, "processor"),
        ({"name": 7}, "name"),
        ({"name": ""}, "name"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": "soon"}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"expires_in": -0.5}, "expires_in"),
        ({"priority": "high"}, "priority"),
        ({"priority": 1.5}, "priority"),
        ({"skills": "oil"}, "skills"),
        ({"skills": {"oil": "much"}}, "skills"),
        ({"skills": {"oil": -1}}, "skills"),
        ({"skills": {3: 1}}, "skills"),
        ({"skills": 5}, "skills"),
        ({"input_data": [1, 2]}, "input_data"),
        ({"dependencies": "an id"}, "dependencies"),
        ({"dependencies": [7]}, "dependenc"),
        ({"dependencies": [""]}, "dependenc"),
        ({"dependencies": 7}, "dependencies"),
        ({"retry_policy": 3}, "retry_policy"),
        ({"id": 7}, "id"),
        ({"id": ""}, "id"),
        ({"metadata": "text"}, "metadata"),
        ({"idempotency_key": 4}, "idempotency_key"),
    ],
)
def test_a_task_that_cannot_work_is_refused_where_it_is_declared(declared: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidTask, match=text):
        Task(**{"name": "portrait", **declared})


@pytest.mark.parametrize("thing", [None, 7, "worker", print, Task, {"processor": "worker"}])
def test_only_tasks_are_submitted(stage: Playground, thing: Any) -> None:
    with pytest.raises(InvalidSetting, match="only a Task can be submitted"):
        stage.submit(thing)
    with pytest.raises(InvalidSetting):
        asyncio.run(stage.add_and_execute_task(thing))


def test_a_duplicate_id(stage: Playground) -> None:
    first = Task("first", "worker", {"data": 1}, id="the-one")
    handle = stage.submit(first)
    for again in (first, Task("second", "worker", id="the-one")):
        with pytest.raises(DuplicateTask, match=r"'the-one'.*leave id out") as caught:
            stage.submit(again)
        assert caught.value.task_id == "the-one"
    assert handle.result(20).output == 1
    with pytest.raises(DuplicateTask):
        stage.submit(first)
    assert handle.status is TaskStatus.COMPLETED


def test_a_task_without_an_id_may_be_submitted_again(stage: Playground) -> None:
    task = Task("again", "worker", {"data": 1})
    handles = [stage.submit(task) for _ in range(3)]
    assert len({handle.task_id for handle in handles}) == 3 and handles[0].task_id == task.id
    assert [handle.result(20).output for handle in handles] == [1, 1, 1]


@pytest.mark.parametrize("value", [threading.Lock(), (x for x in "ab"), lambda: threading.Lock(), socket.socket])
def test_an_argument_that_cannot_be_pickled(stage: Playground, value: Any) -> None:
    task = Task("stuck", "worker", {"data": {"deep": [value]}})
    if callable(value):
        assert stage.submit(task).result(20).success  # code is carried by value
        return
    with pytest.raises(CannotPickle, match="input of task 'stuck'"):
        stage.submit(task)
    with pytest.raises(CannotPickle):
        asyncio.run(stage.add_and_execute_task(task))


def test_what_belongs_to_this_process_is_no_argument(stage: Playground) -> None:
    handle = stage.submit(Task(processor="worker", input_data={"data": 1}))
    with pytest.raises(CannotPickle, match="pass the Task itself, or its output"):
        stage.submit(Task(processor="worker", input_data={"data": handle}))
    for thing in (stage, stage.executor, lambda: stage):
        with pytest.raises(CannotPickle, match=r"submits tasks by ProcessRequest.current\(\).submit"):
            stage.submit(Task(processor="worker", input_data={"data": thing}))
    with pytest.raises(InvalidTask, match=f"its id is '{handle.task_id}'"):
        Task("next", "worker", dependencies=[handle])  # type: ignore[list-item]


def test_a_class_that_cannot_be_carried(stage: Playground) -> None:
    lock = threading.Lock()

    class Locked(Task):
        def execute(self) -> bool:
            return lock.locked()

    with pytest.raises(CannotPickle, match="Locked"):
        stage.submit(Locked())


def test_a_retry_policy_that_cannot_be_carried(stage: Playground) -> None:
    lock = threading.Lock()
    policy = RetryPolicy(retry_on=lambda error: lock.locked())
    with pytest.raises(CannotPickle, match="policy"):
        stage.submit(Task("picky", "worker", retry_policy=policy))


def test_inputs_and_outputs_over_the_limit(stage: Playground) -> None:
    with pytest.raises(PayloadTooLarge, match=r"input of task 'huge'.*1,000,000"):
        stage.submit(Task("huge", "worker", {"data": b"x" * 1_000_001}))
    result = stage.submit(Task("repeat", "worker", {"data": Repeated()})).result(20)
    assert result.status is TaskStatus.FAILED and result.failure is not None and result.failure.check(PayloadTooLarge)
    assert "the output" in str(result.error)


class Repeated:
    """Small on the way there, large on the way back."""

    def __init__(self, times: int = 1) -> None:
        self.times = times

    def __reduce__(self) -> tuple[Any, ...]:
        return (_loaded, ()) if self.times == 1 else (bytes, (b"x" * self.times,))


def _loaded() -> Repeated:
    return Repeated(1_000_001)


def test_a_dependency_on_itself_by_a_chosen_id() -> None:
    with pytest.raises(DependencyCycle, match="own -> own"):
        Task("selfish", id="own", dependencies=["own"])


# -- workers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"name": ""}, "name"),
        ({"name": 7}, "name"),
        ({"name": "ada", "role": ""}, "role"),
        ({"name": "ada", "role": None}, "role"),
        ({"name": "ada", "slots": 0}, "slot"),
        ({"name": "ada", "slots": 1.5}, "slot"),
        ({"name": "ada", "slots": True}, "slot"),
        ({"name": "ada", "skills": "oil"}, "skills"),
        ({"name": "ada", "skills": {"oil": "much"}}, "skills"),
        ({"name": "ada", "skills": {"oil": -1}}, "skills"),
        ({"name": "ada", "skills": 5}, "skills"),
        ({"name": "ada", "skills": {""}}, "skills"),
    ],
)
def test_a_worker_that_cannot_work(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidWorker, match=text):
        ProcessWorker(**arguments)


class Unready(ProcessWorker):
    def __init__(self) -> None:
        """Forgets the base."""


class Early(ProcessWorker):
    async def on_start(self) -> None:  # type: ignore[override]
        """Would never be awaited."""


@pytest.mark.parametrize(
    ("worker", "text"), [(Unready(), r"its __init__ must call super\(\).__init__"), (Early("ada"), "on_start of Early must be a plain def")]
)
def test_a_worker_class_that_cannot_work(worker: ProcessWorker, text: str, no_leaks: None) -> None:
    with pytest.raises(InvalidWorker, match=text), Playground().play(workers=[Noting("bob"), worker]):
        pass
    with pytest.raises(InvalidWorker, match=text):
        worker.join("tcp://127.0.0.1:9")


@pytest.mark.parametrize("workers", [-1, ["ada"], "ada", True, [ProcessWorker], [None], ProcessWorker("alone"), 1.5])
def test_workers_that_are_none(workers: Any, no_leaks: None) -> None:
    with pytest.raises(InvalidSetting, match="worker"), Playground().play(workers=workers):
        pass


def test_a_worker_without_process_fails_its_tasks_and_says_why() -> None:
    with Playground().play(workers=[ProcessWorker("idle", "idle")]) as stage:
        result = stage.submit(Task(processor="idle")).result(20)
    assert "has no process(request)" in str(result.error) and "'idle'" in str(result.error)


def test_a_worker_whose_on_start_fails_makes_play_fail_by_name(no_leaks: None) -> None:
    class Broken(ProcessWorker):
        def on_start(self) -> None:
            raise RuntimeError("no brushes")

    with (
        pytest.raises(WorkerStartFailed, match=r"(?s)'bob'.*RuntimeError: no brushes"),
        Playground().play(workers=[Noting("ada"), Broken("bob")]),
    ):
        pytest.fail("the block was entered")


def test_a_worker_whose_process_ends_while_it_starts(no_leaks: None) -> None:
    class Exiting(ProcessWorker):
        def on_start(self) -> None:
            import os

            os._exit(9)

    with pytest.raises(WorkerStartFailed, match=r"'bob'.*exit code 9"), Playground().play(workers=[Exiting("bob")]):
        pytest.fail("the block was entered")


def test_a_worker_that_cannot_be_carried(no_leaks: None) -> None:
    worker = ProcessWorker("bob")
    worker.lock = threading.Lock()  # type: ignore[attr-defined]
    with pytest.raises(CannotPickle, match=r"'bob'.*lock"), Playground().play(workers=[worker]):
        pytest.fail("the block was entered")


# -- playgrounds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"port": "eight thousand"}, "port"),
        ({"port": 70_000}, "port"),
        ({"port": 0}, "port"),
        ({"port": -1}, "port"),
        ({"max_backlog": 0}, "max_backlog"),
        ({"when_full": "explode"}, "when_full"),
        ({"max_worker_deaths": 0}, "max_worker_deaths"),
        ({"max_chain": 0}, "max_chain"),
        ({"max_payload": 3}, "max_payload"),
        ({"name": 5}, "name of a playground"),
        ({"name": ""}, "name of a playground"),
    ],
)
def test_settings_that_cannot_work(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidSetting, match=text):
        Playground(**arguments)


def test_a_port_in_use(free_port: Callable[[], int], no_leaks: None) -> None:
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(CannotBind, match=rf"127.0.0.1:{port}.*another port"), Playground("name", port=port).play(workers=1):
            pytest.fail("the block was entered")
    with Playground("name", port=port).play(workers=1) as stage:
        assert stage.executor.submit(pow, 2, 2).result(20) == 4
        with pytest.raises(CannotBind, match=str(port)), Playground("other", port=port).play(workers=1):
            pytest.fail("the block was entered")
        assert stage.executor.submit(pow, 2, 3).result(20) == 8
        with connect(str(stage.address)) as board:  # the connection file is the first one's still
            assert len(board.workers) == 1


def test_a_host_that_is_none(no_leaks: None) -> None:
    with pytest.raises(CallboardError), Playground(host="no such host", port=12345, key_file="/nonexistent/key").play(workers=0):
        pytest.fail("the block was entered")


def test_an_open_interface_needs_keys(free_port: Callable[[], int], no_leaks: None) -> None:
    with pytest.raises(CannotBind, match="key_file"), Playground(host="0.0.0.0", port=free_port()).play(workers=1):
        pytest.fail("the block was entered")


def test_play_twice(stage: Playground) -> None:
    with pytest.raises(AlreadyPlaying, match="playing already"), stage.play(workers=1):
        pytest.fail("the block was entered")

    async def main() -> None:
        async with stage.play(workers=1):
            pytest.fail("the block was entered")

    with pytest.raises(AlreadyPlaying):
        asyncio.run(main())


def test_before_the_block_nothing_is_taken() -> None:
    playground = Playground()
    with pytest.raises(PlaygroundClosed, match="not begun"):
        playground.submit(Task(processor="worker"))
    with pytest.raises(PlaygroundClosed):
        playground.on("task.*", print)


def test_a_full_backlog(tmp_path: Path) -> None:
    mark = str(tmp_path / "begun")
    with Playground(max_backlog=2, when_full="raise").play(workers=[Deaf("ada", "deaf")]) as stage:
        tasks = [Task(f"{n}", "deaf", {"begun": mark, "seconds": 0.3}) for n in range(3)]
        handles = [stage.submit(task) for task in tasks[:2]]
        with pytest.raises(BacklogFull, match="max_backlog"):
            stage.submit(tasks[2])
        assert handles[0].result(20).success
        assert stage.submit(tasks[2]).result(20).success


def test_a_full_backlog_makes_submit_wait_but_not_in_a_loop(tmp_path: Path) -> None:
    mark = str(tmp_path / "begun")
    with Playground(max_backlog=1).play(workers=[Deaf("ada", "deaf")]) as stage:
        before = time.monotonic()
        for n in range(3):
            stage.submit(Task(f"{n}", "deaf", {"begun": mark, "seconds": 0.15}))
        assert time.monotonic() - before > 0.25

        async def main() -> list[bool]:
            with pytest.raises(BacklogFull):
                stage.submit(Task("in a loop", "deaf", {"begun": mark, "seconds": 0.0}))
            tasks = [Task(f"{n}", "deaf", {"begun": mark, "seconds": 0.01}) for n in range(5)]
            return [result.success for result in await asyncio.gather(*map(stage.add_and_execute_task, tasks))]

        assert asyncio.run(main()) == [True] * 5


# -- addresses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["", "nowhere", "tcp://", "tcp://host", "tcp://host:port", "http://host:8000", "host:0", "host:99999", 8000, None]
)
def test_a_wrong_address(address: Any) -> None:
    with pytest.raises(InvalidSetting, match="tcp://HOST:PORT"):
        connect(address)
    with pytest.raises(InvalidSetting, match="tcp://HOST:PORT"):
        ProcessWorker("eve").join(address)


def test_an_address_where_nobody_is(free_port: Callable[[], int], no_leaks: None) -> None:
    port = free_port()
    with pytest.raises(CannotConnect, match=f"{port}.*is the manager running"):
        connect(f"tcp://127.0.0.1:{port}")
    with pytest.raises(CannotConnect, match="is the manager running"):
        ProcessWorker("eve").join(f"tcp://127.0.0.1:{port}")


def test_a_connection_file_whose_manager_has_gone(free_port: Callable[[], int], tmp_path: Path, no_leaks: None) -> None:
    port = free_port()
    kept = tmp_path / "kept.json"
    with Playground(port=port, key_file=kept).play(workers=0):
        pass
    with pytest.raises(CannotConnect, match=r"nobody answered.*0\.3 s"):
        connect(f"tcp://127.0.0.1:{port}", key=kept, timeout=0.3)


def test_a_key_file_that_is_none(free_port: Callable[[], int], tmp_path: Path) -> None:
    bad = tmp_path / "key.json"
    bad.write_text("{}")
    bad.chmod(0o600)
    for path in (bad, tmp_path / "missing.json", tmp_path):
        with pytest.raises(CannotConnect):
            connect(f"tcp://127.0.0.1:{free_port()}", key=path)


def test_somebody_else_listens_there(no_leaks: None) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        from callboard.actors.keyring import Address, ServerKeys, connection_file, write_connection

        path = connection_file(Address("127.0.0.1", port))
        write_connection(path, f"tcp://127.0.0.1:{port}", ServerKeys.fresh().credentials)
        try:
            with pytest.raises(CannotConnect, match="nobody answered"):
                connect(f"tcp://127.0.0.1:{port}", timeout=0.4)
        finally:
            path.unlink()


def test_submit_after_the_connection_was_closed(free_port: Callable[[], int]) -> None:
    submitted: queue.SimpleQueue[Event] = queue.SimpleQueue()
    with Playground(port=free_port()).play(workers=[Noting("ada")]) as stage:
        stage.on("task.submitted", submitted.put)
        board = connect(str(stage.address))
        assert board.submit(Task(processor="worker", input_data={"data": 2})).result(20).output == 2
        waiting = board.submit(Task("waits", "nobody"))
        board.close()
        board.close()
        assert waiting.result(5).status is TaskStatus.FAILED
        with pytest.raises(PlaygroundClosed):
            board.submit(Task(processor="worker"))
        with pytest.raises(PlaygroundClosed):
            board.on("task.*", print)
        while submitted.get(timeout=20).task_id != waiting.task_id:
            pass  # the last words of a client may come after its end
        stage.task_manager.get_task(waiting.task_id)
        stage.submit(Task(processor="worker")).result(20)


def test_the_playground_ends_before_its_client(free_port: Callable[[], int]) -> None:
    with Playground(port=free_port()).play(workers=[Noting("ada")]) as stage:
        board = connect(str(stage.address))
    with pytest.raises(PlaygroundClosed, match="ended"):
        for _ in range(200):
            board.submit(Task(processor="worker"))
            time.sleep(0.01)
    board.close()


def test_a_worker_given_to_the_wrong_process_says_so(tmp_path: Path) -> None:
    program = "import sys\nfrom callboard import ProcessWorker\nProcessWorker('eve').join('tcp://127.0.0.1:1')\n"
    import sys

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1 and "CannotConnect" in ended.stderr.splitlines()[-1]


def test_emit_what_cannot_be_pickled(stage: Playground) -> None:
    with pytest.raises(CannotPickle, match=r"event 'mine'"):
        stage.emit("mine", lock=threading.Lock())


def test_a_request_that_emits_what_cannot_be_pickled_or_is_no_topic() -> None:
    class Emitting(ProcessWorker):
        def process(self, request: ProcessRequest) -> str:
            request.emit(request.data, lock=threading.Lock())
            return "went on"

    with Playground().play(workers=[Emitting("ada", "emit")]) as stage:
        fine = stage.submit(Task(processor="emit", input_data={"data": "mine"})).result(20)
        bad = stage.submit(Task(processor="emit", input_data={"data": "no topic"})).result(20)
    assert bad.failure is not None and bad.failure.check(InvalidSetting)
    assert fine.success or (fine.failure is not None and fine.failure.check(CannotPickle))
