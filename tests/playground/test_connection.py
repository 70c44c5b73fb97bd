"""A connected client can do what a playground can, over TCP and with keys."""

from __future__ import annotations

import asyncio
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from callboard import (
    Aggregator,
    CannotConnect,
    DuplicateTask,
    Event,
    InvalidSetting,
    Playground,
    PlaygroundClosed,
    ProcessRequest,
    ProcessWorker,
    Refused,
    Task,
    TaskResult,
    TaskStatus,
    UnknownTask,
    connect,
)
from callboard.actors.keyring import server_keys
from callboard.playground.connection import Connection
from tests.playground.crew import until

PATIENCE = 20.0


class Painter(ProcessWorker):
    """Paints, or waits until a file is there."""

    def process(self, request: ProcessRequest) -> Any:
        if isinstance(request.data, dict) and "keep" in request.data:
            Path(request.data["keep"]).write_bytes(pickle.dumps(request.metadata["event"]))
        if isinstance(request.data, dict) and "until" in request.data:
            Path(f"{request.data['until']}.begun").touch()
            while not os.path.exists(request.data["until"]) and not request.cancelled:
                threading.Event().wait(0.005)
        return f"painted {request.data}"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CALLBOARD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def stage(home: Path, free_port: Callable[[], int]) -> Iterator[Playground]:
    crew = [Painter("ada", "paint"), ProcessWorker("py", "python")]
    with Playground("studio", port=free_port()).play(crew) as stage:
        yield stage


@pytest.fixture
def client(stage: Playground) -> Iterator[Connection]:
    assert stage.address is not None
    with connect(stage.address) as client:
        yield client


# -- who cannot connect -----------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["", "8000", "http://here:8000", "tcp://here", "tcp://here:0", "tcp://here:70000", "ipc:///tmp/x"])
def test_what_is_no_address_is_told_at_once(address: str) -> None:
    with pytest.raises(InvalidSetting, match="is no address: expected tcp://HOST:PORT"):
        connect(address)


def test_without_a_file_there_is_no_way_in(home: Path) -> None:
    with pytest.raises(CannotConnect, match=r"no connection file for tcp://127.0.0.1:8000 at .*; is the manager running, as the same user"):
        connect("tcp://127.0.0.1:8000")
    with pytest.raises(CannotConnect, match="there is no file no/such/file"):
        connect("tcp://127.0.0.1:8000", key="no/such/file")


def test_a_file_that_is_something_else_is_named(tmp_path: Path) -> None:
    for text, expected in (("", "cannot be read as a connection file"), ("[]", "is no connection file"), ("{}", "it has no 'server'")):
        file = tmp_path / "file"
        file.write_text(text)
        file.chmod(0o600)
        with pytest.raises(CannotConnect, match=expected):
            connect("tcp://127.0.0.1:8000", key=file)


@pytest.mark.usefixtures("no_leaks")
def test_nobody_there_is_told_after_the_timeout(tmp_path: Path, free_port: Callable[[], int]) -> None:
    server_keys(tmp_path / "keys")
    port = free_port()
    with pytest.raises(CannotConnect, match=rf"nobody answered at tcp://127.0.0.1:{port} within 0.2 s; is the manager running there"):
        connect(f"tcp://127.0.0.1:{port}", key=tmp_path / "keys", timeout=0.2)


def test_a_key_that_the_manager_does_not_know_is_refused(stage: Playground, tmp_path: Path) -> None:
    server_keys(tmp_path / "keys")
    assert stage.address is not None
    with pytest.raises(Refused, match="refused the keys"):
        connect(stage.address, key=tmp_path / "keys")
    with connect(stage.address) as client:  # and who has the right one gets in as before
        assert client.submit(Task("portrait", "paint", {"data": 1})).result(PATIENCE).success


# -- what a client does -------------------------------------------------------------------------------


def test_a_task_that_an_earlier_client_submitted_can_be_depended_on(stage: Playground) -> None:
    assert stage.address is not None
    old = Task("portrait", "paint", {"data": 1})
    for _ in range(2):
        with connect(stage.address) as client:
            late = Task("portrait", "paint", {"data": 2}, dependencies=[old])
            assert client.submit(late).result(PATIENCE).success
            assert client.submit(old).result(PATIENCE).success


def test_a_task_of_a_manager_that_has_ended_runs_again_for_those_that_depend_on_it(home: Path, free_port: Callable[[], int]) -> None:
    old = Task("portrait", "paint", {"data": 1})
    for _ in range(2):
        with Playground(port=free_port()).play([Painter("ada", "paint")]) as stage:
            assert stage.address is not None
            client = connect(stage.address)
            late = Task("portrait", "paint", {"data": 2}, dependencies=[old])
            assert client.submit(late).result(PATIENCE).success
        client.close()


def test_what_depends_on_a_task_that_the_manager_forgot_fails(stage: Playground, client: Connection) -> None:
    session = stage._session
    assert session is not None and session.manager is not None
    archive = session.manager.dispatcher.ledger.archive
    history, archive.history = archive.history, 3
    try:
        old = Task("portrait", "paint", {"data": 1})
        assert client.submit(old).result(PATIENCE).success
        for number in range(600):
            client.submit(Task("portrait", "paint", {"data": number})).result(PATIENCE)
        late = client.submit(Task("portrait", "paint", dependencies=[old])).result(PATIENCE)
        assert "ended too long ago to be remembered" in str(late.error)
    finally:
        archive.history = history


def test_a_listener_elsewhere_hears_nothing_of_what_was_before_it(stage: Playground, client: Connection) -> None:
    early = client.on("dawn.*", lambda event: None)
    heard: list[list[int]] = []
    for number in range(100):
        client.emit("dawn.light", number=number)
        mine: list[int] = []
        listening = client.on("dawn.light", lambda event, mine=mine: mine.append(event.data["number"]))
        client.emit("dawn.light", number=-1)
        until(lambda mine=mine: mine, "the light")
        listening.cancel()
        heard.append(mine)
    early.cancel()
    assert heard == [[-1]] * 100


def test_a_task_that_asks_for_skills_alone_may_go_to_any_role(home: Path, free_port: Callable[[], int]) -> None:
    with Playground(port=free_port()).play(workers=[Painter("ada", "paint", skills={"colour": 2})]) as stage:
        assert stage.address is not None
        with connect(stage.address) as client:
            handle = client.submit(Task("portrait", input_data={"data": 1}, skills={"colour": 1}))
            assert handle.result(PATIENCE).worker == "ada"


def test_several_clients_get_each_their_own(stage: Playground) -> None:
    assert stage.address is not None
    clients = [connect(stage.address) for _ in range(4)]
    handles = [[client.submit(Task("portrait", "paint", {"data": (n, m)})) for m in range(50)] for n, client in enumerate(clients)]
    for n, theirs in enumerate(handles):
        assert [handle.result(PATIENCE).output for handle in theirs] == [f"painted {(n, m)}" for m in range(50)]
    for client in clients:
        client.close()
        client.close()  # which may be said again


def test_a_client_knows_tasks_and_workers(client: Connection) -> None:
    handle = client.submit(Task("portrait", "paint", {"data": 1}, id="portrait-1"))
    assert handle.result(PATIENCE).output == "painted 1"
    assert (handle.status, client.task_manager.get_task("portrait-1").status) == (TaskStatus.COMPLETED, TaskStatus.COMPLETED)
    assert [view.name for view in client.workers] == [view.name for view in client.llm_agents] == ["ada", "py"]
    assert "it ended" not in client.explain("portrait-1")
    with pytest.raises(UnknownTask, match="no task 'nobody' is known here"):
        client.task_manager.get_task("nobody")
    with pytest.raises(DuplicateTask, match="task id 'portrait-1' was submitted before"):
        client.submit(Task("portrait", "paint", id="portrait-1"))


def test_a_client_cancels_what_waits_and_what_runs(client: Connection, tmp_path: Path) -> None:
    running = client.submit(Task("long", "paint", {"data": {"until": str(tmp_path / "never")}}))
    until((tmp_path / "never.begun").exists, "the beginning of the task")
    waiting = client.submit(Task("later", "paint"))
    assert waiting.cancel()
    assert waiting.result(PATIENCE).status is TaskStatus.CANCELLED
    assert running.cancel()
    assert running.result(PATIENCE).status is TaskStatus.CANCELLED
    assert not running.cancel()


def test_the_executor_of_a_client(client: Connection) -> None:
    assert list(client.executor.map(lambda x: x * x, range(20))) == [x * x for x in range(20)]
    assert client.executor.submit(os.getpid).result(PATIENCE) != os.getpid()
    with pytest.raises(ZeroDivisionError):
        client.executor.submit(lambda: 1 // 0).result(PATIENCE)


class Longest(Aggregator):
    """Keeps the longest output."""

    def __init__(self) -> None:
        self.best = ""
        self.pids: set[int] = set()

    def add(self, result: TaskResult) -> None:
        self.pids.add(os.getpid())
        self.best = max(self.best, result.unwrap(), key=len)

    def finish(self) -> str:
        return self.best


def test_fan_out_from_a_client_gathers_in_its_own_process(client: Connection) -> None:
    join = Longest()
    assert client.fan_out("paint", ["a", "bbbb", "cc"], join=join).result(PATIENCE).unwrap() == "painted bbbb"
    assert join.pids == {os.getpid()}
    assert client.fan_out(abs, range(-50, 0), join=sum).result(PATIENCE).unwrap() == sum(range(51))


def test_an_async_client(stage: Playground) -> None:
    async def run() -> list[str]:
        assert stage.address is not None
        async with await asyncio.to_thread(connect, stage.address) as client:
            seen = client.events("task.completed")
            results = await asyncio.gather(*[client.add_and_execute_task(Task(f"p-{n}", "paint")) for n in range(5)])
            assert all(result.success for result in results)
            return sorted([(await anext(seen)).name or "" for _ in range(5)])

    assert asyncio.run(run()) == [f"p-{n}" for n in range(5)]


# -- events and rules -----------------------------------------------------------------------------------


def test_a_client_hears_and_is_heard(stage: Playground, client: Connection) -> None:
    here: list[Event] = []
    there: list[Event] = []
    client.on("studio.*", here.append)
    stage.on("studio.*", there.append, where={"size": 2})
    client.emit("studio.opened", size=2, brushes={1, 2})
    stage.emit("studio.closed", size=3)
    until(lambda: len(here) == 2 and len(there) == 1, "three events")
    assert {(event.topic, event.data["size"]) for event in here} == {("studio.opened", 2), ("studio.closed", 3)}
    assert there[0].data["brushes"] == {1, 2}


def test_a_rule_of_a_client_starts_tasks_until_it_is_cancelled_or_the_client_gone(stage: Playground, client: Connection) -> None:
    ended: list[Event] = []
    stage.on("task.completed", ended.append)
    rule = client.on("task.completed", start=Task("varnish", "paint"), where={"name": "portrait"})
    assert client.submit(Task("portrait", "paint")).result(PATIENCE).success
    until(lambda: [event.name for event in ended] == ["portrait", "varnish"], "the varnishing")
    rule.cancel()
    assert client.submit(Task("portrait", "paint")).result(PATIENCE).success
    assert client.submit(Task("last", "paint")).result(PATIENCE).success
    until(lambda: [event.name for event in ended][2:] == ["portrait", "last"], "the last task")
    client.on("task.completed", start=Task("frame", "paint"), where={"name": "portrait"})
    client.close()
    assert stage.submit(Task("portrait", "paint")).result(PATIENCE).success
    assert stage.submit(Task("last", "paint")).result(PATIENCE).success
    until(lambda: [event.name for event in ended][4:] == ["portrait", "last"], "the last task without a frame")


@pytest.mark.parametrize("sender", ["stage", "client"])
def test_a_follow_on_task_gets_all_data_of_its_event(stage: Playground, client: Connection, sender: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    client.on("studio.full", start=Task("keep", "paint", {"data": {"keep": str(kept)}}))
    data = {"plain": [1, "two"], "rich": {3, 4}, "large": b"x" * 3_000_000}
    ends: list[Event] = []
    seen: list[Event] = []
    stage.on("task.completed", ends.append)
    client.on("studio.full", seen.append)
    {"stage": stage, "client": client}[sender].emit("studio.full", **data)
    until(lambda: ends and seen, "the follow-on task and the event itself")
    event = pickle.loads(kept.read_bytes())
    assert event["data"] == seen[0].data == data
    assert (event["topic"], event["time"]) == ("studio.full", seen[0].time)


# -- the end ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_leaks")
def test_a_closed_connection_takes_no_work_and_its_open_handles_end(home: Path, free_port: Callable[[], int]) -> None:
    with Playground(port=free_port()).play([Painter("ada", "paint")]) as stage:
        assert stage.address is not None
        client = connect(stage.address)
        client.on("studio.*", print)
        never = client.submit(Task("never", "write", expires_in=60))
        assert never.status is TaskStatus.PENDING
        client.close()
        result = never.result(PATIENCE)
        assert (result.status, result.error) == (TaskStatus.FAILED, "the connection was closed")
        for use in (lambda: client.submit(Task("more", "paint")), lambda: client.on("studio.*", print), lambda: client.workers):
            with pytest.raises(PlaygroundClosed):
                use()
        assert stage.task_manager.get_task(never.task_id).status is TaskStatus.PENDING  # it goes on without us
        # Leaving fails what nobody can do.


@pytest.mark.usefixtures("no_leaks")
def test_the_end_of_the_manager_is_told(home: Path, free_port: Callable[[], int]) -> None:
    over = threading.Event()
    with Playground(port=free_port()).play(0) as stage:
        assert stage.address is not None
        client = connect(stage.address)
        client.when_over(over.set)
    assert over.wait(PATIENCE)
    with pytest.raises(PlaygroundClosed, match="the manager has ended"):
        client.submit(Task("late", "paint"))
    client.close()


def test_so_is_its_end_at_once(home: Path, free_port: Callable[[], int], caplog: pytest.LogCaptureFixture) -> None:
    playground = Playground(port=free_port())
    with playground.play(workers=[]):
        with connect(str(playground.address)) as client:
            waiting = client.submit(Task("waits", "nobody"))
            playground.kill()
            assert "the manager has ended" in str(waiting.result(PATIENCE).error)
        assert "cannot be reached" not in caplog.text


def test_a_worker_of_another_script_joins(late_worker: Callable[[str], None], stage: Playground) -> None:
    assert stage.address is not None
    late_worker(stage.address)
    result = stage.submit(Task("portrait", "paint", {"data": 1}, skills={"oil": 9})).result(PATIENCE)
    assert (result.output, result.worker) == (1, "late")
