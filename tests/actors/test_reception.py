"""What a manager makes of what a worker says late, twice, or with something missing: a bare socket speaks for the worker."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import pytest
import zmq

from callboard.actors import reception
from callboard.actors.manager import ManagerSettings, TaskManager
from callboard.actors.peer import Versions
from callboard.actors.reception import MAX_STRIKES
from callboard.flows.task import Task
from callboard.messages.codec import decode, encode
from callboard.messages.status import TaskStatus
from callboard.messages.task import Submission
from callboard.messages.wire import AnyMessage, Assign, Ending, Halt, Hello, Message, Park, Probe, Rejoin, Report, Welcome

M = TypeVar("M", bound=Message)
MINE = Versions.here()


class Speaker:
    """A worker's words, one by one."""

    def __init__(self, manager: TaskManager) -> None:
        self.manager = manager
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self.identity = os.urandom(8).hex()
        self._socket.identity = self.identity.encode()
        self._socket.connect(manager.gate.local_endpoint)
        self.hellos = 0

    def close(self) -> None:
        self._socket.close(0)
        self._context.term()

    def say(self, message: AnyMessage, *payloads: bytes) -> None:
        self._socket.send_multipart(encode(message, [b"".join(payloads)] if payloads else []))

    def mumble(self, times: int) -> None:
        for _ in range(times):
            self._socket.send_multipart([b"no message"])

    def hear(self, kind: type[M]) -> M:
        """The next message of a kind; what comes before it is passed over."""
        for _ in range(20):  # there are probes without end
            message = self._next()
            if isinstance(message, kind):
                return message
        raise AssertionError(f"no {kind.__name__} comes")

    def await_acknowledged(self, number: int) -> None:
        assert any(self.hear(Probe).acked >= number for _ in range(10))

    def _next(self) -> AnyMessage:
        assert self._socket.poll(5000), "the manager says nothing"
        return decode(self._socket.recv_multipart(copy=False))[0]

    def vanish(self) -> None:
        """Have all delivered that was said, and be gone."""
        self._socket.close(5000)
        self._context.term()

    def say_hello(self, held: dict[str, int] | None = None, heard: int = 0, slots: int = 3, **more: Any) -> None:
        self.hellos += 1
        held = held or {}
        self.say(
            Hello(
                **{
                    "python": MINE.python,
                    "cloudpickle": MINE.cloudpickle,
                    "peer": "worker",
                    "name": "ada",
                    "role": "worker",
                    "slots": slots,
                    "ids": list(held),
                    "fences": list(held.values()),
                    "number": self.hellos,
                    "heard": heard,
                    "epoch": self.manager.epoch,
                    **more,
                }
            )
        )

    def hello(self, held: dict[str, int] | None = None, heard: int = 0, slots: int = 3) -> Welcome:
        self.say_hello(held, heard, slots)
        return self.hear(Welcome)

    def report(self, number: int, task_id: str, fence: int) -> None:
        report = Report(
            epoch=self.manager.epoch, number=number, ids=[task_id], fences=[fence], endings=[Ending.COMPLETED], micros=[5], sizes=[3]
        )
        self.say(report, b"out")

    def assigned(self, count: int) -> dict[str, int]:
        """The fences of as many tasks as were assigned."""
        found: dict[str, int] = {}
        while len(found) < count:
            message = self.hear(Assign)
            found.update(zip(message.ids, message.fences, strict=True))
        return found


@pytest.fixture
def manager() -> Iterator[TaskManager]:
    made, ref = TaskManager.launch(ManagerSettings())
    yield made
    ref.stop()


@pytest.fixture
def worker(manager: TaskManager) -> Iterator[Speaker]:
    made = Speaker(manager)
    yield made
    made.close()


def within(manager: TaskManager, call: Callable[[], Any]) -> Any:
    """What a call in the manager's thread gives."""
    answer: Future[Any] = Future()
    manager.mailbox.post(lambda: answer.set_result(call()))
    return answer.result(5)


def submit(manager: TaskManager, count: int) -> list[str]:
    made: list[Submission] = [Task(f"task {number}", "worker").submission() for number in range(count)]
    for submission in made:
        manager.mailbox.post(submission)
    return [submission.task_id for submission in made]


def status(manager: TaskManager, task_id: str) -> TaskStatus:
    found: TaskStatus = within(manager, lambda: manager.dispatcher.entry(task_id).status)
    return found


def test_a_report_behind_a_gap_is_asked_for_again(manager: TaskManager, worker: Speaker) -> None:
    first, second, third = submit(manager, 3)
    worker.hello()
    fences = worker.assigned(3)
    worker.report(1, first, fences[first])
    worker.report(3, third, fences[third])
    worker.hear(Rejoin)
    assert [status(manager, task_id) for task_id in (first, second, third)] == ["completed", "running", "running"]
    welcome = worker.hello({second: fences[second], third: fences[third]}, heard=1)
    assert welcome.answers == 2
    worker.report(2, second, fences[second])
    worker.report(3, third, fences[third])
    worker.report(3, third, fences[third])
    worker.await_acknowledged(3)
    assert [status(manager, task_id) for task_id in (second, third)] == ["completed", "completed"]


def test_a_gap_is_asked_about_once(manager: TaskManager, worker: Speaker) -> None:
    (task_id,) = submit(manager, 1)
    worker.hello()
    fence = worker.assigned(1)[task_id]
    for number in (2, 3, 4):
        worker.report(number, task_id, fence)
    worker.hear(Rejoin)
    heard: list[type] = []
    worker.report(1, task_id, fence)
    worker.report(1, task_id, fence)
    while Probe not in heard or status(manager, task_id) != "completed":
        heard.append(type(worker._next()))
    assert Rejoin not in heard


def test_a_report_that_comes_twice_counts_once(manager: TaskManager, worker: Speaker) -> None:
    (task_id,) = submit(manager, 1)
    worker.hello()
    fence = worker.assigned(1)[task_id]
    worker.report(1, task_id, fence)
    worker.report(1, task_id, fence)
    worker.await_acknowledged(1)
    assert status(manager, task_id) == "completed" and within(manager, lambda: manager.dispatcher.stale) == 0


def test_a_manager_that_has_forgotten_a_worker_goes_on_where_that_one_stands(manager: TaskManager, worker: Speaker) -> None:
    (task_id,) = submit(manager, 1)
    worker.hello(heard=41)
    fence = worker.assigned(1)[task_id]
    worker.report(42, task_id, fence)
    worker.await_acknowledged(42)
    assert status(manager, task_id) == "completed"


def test_an_older_hello_does_not_make_it_wait_for_what_was_taken_long_ago(manager: TaskManager, worker: Speaker) -> None:
    (task_id,) = submit(manager, 1)
    worker.hello(heard=1)
    worker.hello(heard=2)
    fence = worker.assigned(1)[task_id]
    worker.report(3, task_id, fence)
    worker.await_acknowledged(3)
    assert status(manager, task_id) == "completed"


def test_what_a_worker_did_not_get_is_assigned_anew(manager: TaskManager, worker: Speaker) -> None:
    (task_id,) = submit(manager, 1)
    worker.hello()
    before = worker.assigned(1)
    assert worker.hello().answers == 2
    assert worker.assigned(1)[task_id] > before[task_id]


def test_an_attempt_that_is_over_parks_nothing(manager: TaskManager, worker: Speaker) -> None:
    (task_id,) = submit(manager, 1)
    worker.hello(slots=1)
    old = worker.assigned(1)[task_id]
    worker.hello(slots=1)
    new = worker.assigned(1)[task_id]

    def parked() -> set[str]:
        (record,) = manager.dispatcher.roster.workers.values()
        return set(record.parked)

    worker.say(Park(task_id=task_id, fence=old, parked=True))
    worker.report(5, task_id, old)  # so that it is known to have been heard
    worker.hear(Rejoin)
    assert within(manager, parked) == set()
    worker.say(Park(task_id=task_id, fence=new, parked=True))
    worker.hello({task_id: new}, slots=1)
    worker.say(Park(task_id=task_id, fence=new, parked=True))
    worker.report(5, task_id, old)
    worker.hear(Rejoin)
    assert within(manager, parked) == {task_id}


def test_a_stranger_is_asked_who_it_is(manager: TaskManager, worker: Speaker) -> None:
    worker.report(1, "task", 1)
    worker.hear(Rejoin)
    assert within(manager, lambda: len(manager.reception.peers)) == 0


def test_what_it_holds_and_nobody_wants_is_to_be_dropped(manager: TaskManager, worker: Speaker) -> None:
    worker.hello({"unheard-of": 3})
    assert worker.hear(Halt).ids == ["unheard-of"]


def heard_in_all(manager: TaskManager) -> int:
    """How many malformed messages there were when another one had its answer."""
    other = Speaker(manager)
    other.hello()
    other.close()
    found: int = within(manager, lambda: manager.reception.malformed)
    return found


@pytest.mark.parametrize("known", [False, True], ids=["before its hello", "after it"])
def test_who_mumbles_is_heard_no_more(known: bool, manager: TaskManager, worker: Speaker, caplog: pytest.LogCaptureFixture) -> None:
    if known:
        worker.hello()
    worker.mumble(MAX_STRIKES + 5)
    for _ in range(100):
        if heard_in_all(manager) >= MAX_STRIKES and "is struck off after 10 such messages" in caplog.text:
            break
    assert heard_in_all(manager) == MAX_STRIKES
    assert list(within(manager, lambda: manager.reception._banned)) == [worker.identity]
    assert not any(peer.identity == worker.identity for peer in within(manager, lambda: list(manager.reception.peers.values())))


def test_of_those_who_mumble_the_latest_are_remembered(manager: TaskManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "MAX_BANNED", 2)
    names = []
    for _ in range(4):
        one = Speaker(manager)
        one.mumble(MAX_STRIKES)
        names.append(one.identity)
        while within(manager, lambda: manager.reception.malformed) < MAX_STRIKES * len(names):
            pass
        one.close()
    assert list(within(manager, lambda: manager.reception._banned)) == names[-2:]


def test_who_was_gone_before_its_hello_was_heard_is_given_nothing(manager: TaskManager) -> None:
    (task_id,) = submit(manager, 1)
    held = threading.Event()

    def hold() -> None:
        monitor = manager.gate.router.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        held.set()
        monitor.poll(10_000)
        time.sleep(0.05)  # the event comes just before the socket knows of it
        manager.gate.router.disable_monitor()
        monitor.close(0)

    manager.mailbox.post(hold)
    assert held.wait(10)
    gone = Speaker(manager)
    gone.say_hello()
    gone.vanish()
    for _ in range(3):
        within(manager, lambda: None)
    assert within(manager, lambda: (list(manager.reception.peers), list(manager.dispatcher.roster.workers))) == ([], [])
    assert status(manager, task_id) == "pending"


@pytest.mark.parametrize(("more", "waits"), [({}, False), ({"peer": "client", "epoch": None}, False), ({"peer": "client"}, True)])
def test_clients_of_an_earlier_manager_wait_until_its_workers_had_time_to_come(
    more: dict[str, Any], waits: bool, manager: TaskManager, worker: Speaker
) -> None:
    within(manager, lambda: setattr(manager.reception, "_open_to_all", math.inf))
    worker.say_hello(**{"epoch": "of another", **more})
    while not within(manager, lambda: len(manager.reception.peers)):
        pass
    timers = within(manager, lambda: [entry[2].action for entry in manager.dispatcher.agenda._heap])
    assert (manager.reception._welcome in timers) is waits
    if waits:
        within(manager, lambda: manager.reception._welcome((manager.reception.peers[worker.identity], 1), 0.0))
    assert worker.hear(Welcome).answers == 1
