"""What a worker's host makes of what a manager says late or twice: a bare socket speaks for the manager."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import zmq

from callboard.actors import greeting
from callboard.actors.host import WorkerHost
from callboard.actors.note import NoNote
from callboard.actors.peer import Endpoint
from callboard.actors.worker import ProcessWorker
from callboard.flows.task import Task
from callboard.messages.codec import columns, decode, encode
from callboard.messages.wire import AnyMessage, Assign, Goodbye, HandBack, Hello, Message, Probe, Recall, Rejoin, Report, Welcome

M = TypeVar("M", bound=Message)


class Echo(ProcessWorker):
    def process(self, request: Any) -> Any:
        return request.data


class Speaker:
    """A manager's words, one by one."""

    def __init__(self, folder: Path) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self.endpoint = f"ipc://{folder}/tasks"
        self._socket.bind(self.endpoint)
        self.address = b""

    def close(self) -> None:
        self._socket.close(0)
        self._context.term()

    def hear(self, kind: type[M]) -> M:
        """The next message, which must be of this kind."""
        assert self._socket.poll(5000), "the worker says nothing"
        self.address, *frames = self._socket.recv_multipart()
        message = decode(frames)[0]
        assert isinstance(message, kind), message
        return message

    def say(self, message: AnyMessage, frames: list[Any] | None = None) -> None:
        self._socket.send_multipart([self.address, *encode(message, frames or [])])

    def welcome(self, answers: int) -> None:
        self.say(Welcome(epoch="epoch", answers=answers, max_payload=1000))

    def assign(self, task_id: str, fence: int) -> None:
        submission = Task("task", "worker", {"data": task_id}).submission()
        assert isinstance(submission.payload, bytes)
        laid = columns([submission.payload])
        message = Assign(
            epoch="epoch",
            ids=[task_id],
            names=["task"],
            spec_of=[0],
            fences=[fence],
            times=[0],
            specs={0: submission.spec},
            sizes=laid.sizes,
            large=laid.large,
        )
        self.say(message, laid.frames)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Speaker]:
    made = Speaker(tmp_path)
    yield made
    made.close()


@pytest.fixture
def host(manager: Speaker) -> Iterator[WorkerHost]:
    made, ref = WorkerHost.launch(Echo("ada"), Endpoint(manager.endpoint), NoNote())
    yield made
    ref.stop()
    made.actor_stopped.wait(5)


@pytest.mark.usefixtures("host")
def test_work_that_was_given_before_the_welcome_is_not_done(manager: Speaker) -> None:
    assert manager.hear(Hello).number == 1
    manager.assign("early", 1)
    manager.welcome(1)
    manager.say(Recall())
    assert manager.hear(HandBack).ids == []
    manager.say(Rejoin())
    again = manager.hear(Hello)
    assert (again.number, again.ids, again.epoch) == (2, [], "epoch")
    manager.assign("late", 2)
    manager.welcome(1)  # the answer to the hello before
    manager.assign("late", 3)
    manager.welcome(2)
    manager.say(Recall())
    assert manager.hear(HandBack).ids == []
    manager.assign("now", 4)
    report = manager.hear(Report)
    assert (report.number, report.ids, report.fences) == (1, ["now"], [4])


@pytest.mark.usefixtures("host")
def test_a_report_is_said_again_until_it_is_acknowledged(manager: Speaker) -> None:
    manager.hear(Hello)
    manager.welcome(1)
    manager.assign("one", 7)
    assert manager.hear(Report).number == 1
    manager.say(Rejoin())
    hello = manager.hear(Hello)
    assert (hello.heard, hello.ids, hello.fences) == (0, ["one"], [7])
    manager.welcome(2)
    assert manager.hear(Report).number == 1
    manager.say(Probe(acked=1))
    manager.say(Rejoin())
    hello = manager.hear(Hello)
    assert (hello.heard, hello.ids) == (1, [])


@pytest.mark.usefixtures("host")
def test_an_acknowledgement_from_before_the_hello_takes_no_report_away(manager: Speaker) -> None:
    manager.hear(Hello)
    manager.welcome(1)
    manager.assign("one", 7)
    assert manager.hear(Report).number == 1
    manager.say(Rejoin())
    assert manager.hear(Hello).ids == ["one"]
    manager.say(Probe(acked=1))
    manager.welcome(2)
    assert manager.hear(Report).number == 1


@pytest.mark.usefixtures("host")
def test_asking_for_a_hello_that_is_under_way_asks_for_the_same(manager: Speaker) -> None:
    manager.hear(Hello)
    for _ in range(3):
        manager.say(Rejoin())
    manager.welcome(1)
    manager.say(Recall())
    assert manager.hear(HandBack).ids == [], "and no other hello before it"


def test_a_hello_that_nobody_answers_is_said_again(manager: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greeting, "PATIENCE", 0.05)
    host, ref = WorkerHost.launch(Echo("ada"), Endpoint(manager.endpoint), NoNote())
    assert [manager.hear(Hello).number for _ in range(3)] == [1, 2, 3]
    ref.stop()
    host.actor_stopped.wait(5)


def test_goodbye_ends_it(manager: Speaker, host: WorkerHost) -> None:
    manager.hear(Hello)
    manager.welcome(1)
    manager.say(Goodbye())
    assert host.ended.wait(5)
