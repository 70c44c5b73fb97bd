"""A client's side of the conversation, without a socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from callboard.actors.backlog import Backlog
from callboard.actors.courier import Peer
from callboard.actors.greeting import Greeting
from callboard.actors.uplink import Question, Settled, Uplink
from callboard.flows.function import call_submission
from callboard.flows.task import Task
from callboard.messages.codec import decode, encode
from callboard.messages.errors import DuplicateTask, PlaygroundClosed, TaskFailed, UnknownTask
from callboard.messages.failure import Failure
from callboard.messages.status import TaskStatus
from callboard.messages.task import Submission
from callboard.messages.wire import Ack, Answer, AnyMessage, Ask, Drop, Probe, Put, Submit, Terms


class Ended:
    """How a task ended, as the manager's side holds it."""

    def __init__(self, submission: Submission, output: bytes = b"") -> None:
        self.task_id, self.name = submission.task_id, submission.name
        self.status, self.output = TaskStatus.COMPLETED, output
        self.error = self.failure = None
        self.worker_name, self.attempts, self.micros = "ada", 1, 5


class Conversation:
    """An uplink whose messages are kept, and the manager's memory of it."""

    def __init__(self) -> None:
        self.sent: list[AnyMessage] = []
        self.frames: list[list[Any]] = []
        self.delivered: list[Settled] = []
        self.greeting = Greeting()
        self.uplink = Uplink(self._send, self._deliver, self.greeting)
        self.say_hello()
        self.welcome()
        self.peer = Peer("identity", "client", "client", None, None)
        self.codes: dict[str, bytes] = {}

    def _send(self, frames: list[Any]) -> None:
        self.frames.append(frames)
        self.sent.append(decode(frames)[0])

    def _deliver(self, rows: Sequence[Any]) -> None:
        self.delivered += rows

    def say_hello(self) -> None:
        self.greeting.said(0.0)

    def welcome(self, settled: int = 0) -> list[AnyMessage]:
        before = len(self.sent)
        assert self.greeting.welcomed(self.greeting.number)
        self.uplink.rejoined(settled)
        return self.sent[before:]

    def received(self, index: int = -1) -> list[Submission]:
        message, payloads = decode(self.frames[index])
        assert isinstance(message, Submit)
        return self.peer.submissions(message, payloads, self.codes)

    def answer(self, *submissions: Submission) -> list[Any]:
        frames = self.peer.deliver([Ended(submission, b"out") for submission in submissions])
        self.hear(frames)
        return frames

    def hear(self, frames: list[Any]) -> None:
        message, payloads = decode(frames)
        assert self.uplink.hear(message, payloads)


@pytest.fixture
def talk() -> Conversation:
    return Conversation()


def submission(name: str = "task", **declared: Any) -> Submission:
    return Task(name, "worker", {"data": name}, **declared).submission()


def test_tasks_arrive_as_they_were_submitted(talk: Conversation) -> None:
    code = call_submission(abs, (-1,), {})
    many = [submission("one", priority=3, dependencies=["x", "y"]), submission("two", idempotency_key="key", fallback=7), code]
    instead = submission("three", fallback=Task("instead", "worker"))
    talk.uplink.submit([*many, instead])
    assert len(talk.sent) == 1 and talk.uplink.waiting == 4
    received = talk.received()
    assert [each.task_id for each in received] == [each.task_id for each in (*many, instead)]
    assert [each.name for each in received] == ["one", "two", "abs", "three"]
    assert received[0].spec == many[0].spec and received[0].dependencies == ("x", "y") and received[0].payload == many[0].payload
    assert received[1].idempotency_key == "key" and received[1].fallback is not None
    assert isinstance(received[3].fallback, Submission) and received[3].fallback.name == "instead"
    assert code.code is not None and talk.codes == {code.code.digest: code.code.blob}


def test_whether_all_dependencies_were_sent_before_travels(talk: Conversation) -> None:
    many = [submission(name, dependencies=["x"]) for name in ("one", "two", "three")]
    many[1].dependencies_sent = True
    talk.uplink.submit(many)
    assert [each.dependencies_sent for each in talk.received()] == [False, True, False]


def test_a_spec_and_its_code_travel_once(talk: Conversation) -> None:
    for _ in range(3):
        talk.uplink.submit([call_submission(abs, (-1,), {})])
        assert len(talk.received()) == 1
    specs = [message.specs for message in talk.sent if isinstance(message, Submit)]
    codes = [message.codes for message in talk.sent if isinstance(message, Submit)]
    assert [len(each or {}) for each in specs] == [1, 0, 0] and [len(each or []) for each in codes] == [1, 0, 0]


def test_results_are_delivered_once_and_acknowledged_each_time(talk: Conversation) -> None:
    one, two = submission("one"), submission("two")
    talk.uplink.submit([one, two])
    frames = talk.answer(one)
    assert [(row.task_id, row.output, row.worker_name) for row in talk.delivered] == [(one.task_id, b"out", "ada")]
    talk.hear(frames)  # again, after a reconnect
    assert len(talk.delivered) == 1 and talk.uplink.waiting == 1
    assert [message.number for message in talk.sent if isinstance(message, Ack)] == [1, 1]


def test_after_a_reconnect_what_is_open_is_said_again(talk: Conversation) -> None:
    one, two = submission("one"), submission("two")
    value, answer = Future[Any](), Future[Any]()
    talk.uplink.submit([one, two])
    talk.answer(one)
    terms = Terms(rule_id="rule", pattern="task.*")
    talk.uplink.add_rule(terms, submission("follow-on"), Future())
    talk.uplink.put("value", b"large", value)
    talk.uplink.ask(Question("workers", {}, answer))
    talk.say_hello()
    again = talk.welcome()
    assert [type(message) for message in again] == [Put, Submit, Submit, Ask]
    assert isinstance(again[1], Submit) and again[1].ids == [two.task_id] and again[1].again is True and again[1].specs
    assert isinstance(again[2], Submit) and again[2].rule == terms and again[2].specs is None
    assert not value.done() and not answer.done()
    assert isinstance(again[0], Put) and talk.uplink.hear(Answer(number=again[0].ask), []) and value.done()
    assert isinstance(again[3], Ask)
    assert talk.uplink.hear(Answer(number=again[3].number, value=[1]), []) and answer.result(0) == [1]


def test_what_was_dropped_is_not_said_again(talk: Conversation) -> None:
    talk.uplink.add_rule(Terms(rule_id="rule", pattern="task.*"), submission("follow-on"), Future())
    talk.uplink.put("value", b"large", Future())
    talk.uplink.drop_rule("rule", Future())
    talk.uplink.drop("value")
    talk.uplink.drop("value")
    assert [type(message) for message in talk.sent] == [Submit, Put, Ask, Drop]
    talk.say_hello()
    again = talk.welcome()  # the drop, too, since it may not have been heard
    assert [type(message) for message in again] == [Drop, Ask] and again[0] == talk.sent[3]


def test_what_is_handed_over_between_hello_and_welcome_waits_for_the_welcome(talk: Conversation) -> None:
    answers = [Future[Any]() for _ in range(4)]
    plain, own = submission("plain"), submission("own", id="chosen")
    talk.say_hello()
    before = len(talk.sent)
    talk.uplink.submit([plain])
    talk.uplink.submit_asking(own, answers[0])
    talk.uplink.put("value", b"large", answers[1])
    talk.uplink.add_rule(Terms(rule_id="rule", pattern="task.*"), submission("follow-on"), answers[2])
    talk.uplink.ask(Question("workers", {}, answers[3]))
    assert talk.sent[before:] == []
    said = talk.welcome()
    assert [type(message) for message in said] == [Put, Submit, Submit, Submit, Ask]
    asked = [message for message in said if isinstance(message, Submit)]
    assert [(message.ids[0], message.again) for message in asked[:2]] == [(plain.task_id, True), ("chosen", False)]
    assert asked[0].ask is None and asked[1].ask is not None
    assert talk.uplink.hear(Answer(number=asked[1].ask, failure=Failure.of(DuplicateTask("chosen"))), [])
    with pytest.raises(DuplicateTask):
        answers[0].result(0)
    assert [answer.done() for answer in answers[1:]] == [False] * 3 and talk.uplink.waiting == 1


def test_a_question_about_a_task_survives_the_reconnect_with_its_answer(talk: Conversation) -> None:
    answer: Future[Any] = Future()
    talk.uplink.submit_asking(submission("own", id="chosen"), answer)
    talk.say_hello()
    (again,) = talk.welcome()
    assert isinstance(again, Submit) and again.again and again.ask is not None and not answer.done()
    talk.uplink.hear(Answer(number=again.ask), [])
    assert answer.result(0) is None and talk.uplink.waiting == 1


def test_what_is_delivered_before_the_welcome_is_taken_and_not_acknowledged(talk: Conversation) -> None:
    one = submission()
    talk.uplink.submit([one])
    talk.say_hello()
    frames = talk.answer(one)
    assert len(talk.delivered) == 1 and not any(isinstance(message, Ack) for message in talk.sent)
    assert talk.welcome() == []
    talk.hear(frames)
    assert len(talk.delivered) == 1 and talk.sent[-1] == Ack(number=1)


def test_a_delivery_after_a_gap_is_taken_and_not_acknowledged(talk: Conversation) -> None:
    first, second, third = (submission(name) for name in ("one", "two", "three"))
    talk.uplink.submit([first, second, third])
    talk.answer(first)
    lost = talk.peer.deliver([Ended(second)])
    talk.answer(third)
    assert [row.task_id for row in talk.delivered] == [first.task_id, third.task_id]
    assert [message.number for message in talk.sent if isinstance(message, Ack)] == [1]
    talk.say_hello()
    talk.peer.acknowledged(1)
    kept = talk.peer.reconnected()
    assert kept[0] == lost
    talk.welcome(talk.peer.settled)
    for frames in kept:
        talk.hear(frames)
    assert [row.task_id for row in talk.delivered] == [first.task_id, third.task_id, second.task_id]
    assert [message.number for message in talk.sent if isinstance(message, Ack)] == [1, 2, 3]


def test_a_refused_task_is_not_kept(talk: Conversation) -> None:
    answer: Future[Any] = Future()
    own = submission("own", id="chosen")
    talk.uplink.submit_asking(own, answer)
    (message,) = talk.sent
    assert isinstance(message, Submit) and message.ask is not None and talk.received()[0].given_id
    assert talk.uplink.hear(Answer(number=message.ask, failure=Failure.of(DuplicateTask("chosen"))), [])
    with pytest.raises(DuplicateTask, match="chosen"):
        answer.result(0)
    assert talk.uplink.waiting == 0


def test_an_accepted_task_is_kept(talk: Conversation) -> None:
    answer: Future[Any] = Future()
    talk.uplink.submit_asking(submission("own", id="chosen"), answer)
    (message,) = talk.sent
    assert isinstance(message, Submit) and message.ask is not None
    talk.uplink.hear(Answer(number=message.ask), [])
    assert answer.result(0) is None and talk.uplink.waiting == 1


@pytest.mark.parametrize(("raised", "expected"), [(UnknownTask("x"), UnknownTask), (ValueError("odd"), TaskFailed)])
def test_an_answer_may_be_an_error(talk: Conversation, raised: Exception, expected: type[Exception]) -> None:
    answer: Future[Any] = Future()
    talk.uplink.ask(Question("task", {"task_id": "x"}, answer))
    (message,) = talk.sent
    assert isinstance(message, Ask)
    talk.uplink.hear(Answer(number=message.number, failure=Failure.of(raised)), [])
    with pytest.raises(expected):
        answer.result(0)
    talk.uplink.hear(Answer(number=message.number, value=1), [])  # to which nobody waits any more


def test_what_is_not_for_a_client_is_left_to_others(talk: Conversation) -> None:
    assert talk.uplink.hear(Probe(), []) is False


def test_at_the_end_open_questions_get_the_error(talk: Conversation) -> None:
    answer: Future[Any] = Future()
    open_one = submission()
    talk.uplink.submit([open_one])
    talk.uplink.ask(Question("workers", {}, answer))
    assert talk.uplink.abandon(PlaygroundClosed("over")) == [open_one] and talk.uplink.waiting == 0
    with pytest.raises(PlaygroundClosed):
        answer.result(0)


def test_many_tasks_go_in_several_messages(talk: Conversation) -> None:
    many = [submission(f"{n}") for n in range(5000)]
    talk.uplink.submit(many)
    received = [each.task_id for index in range(len(talk.frames)) for each in talk.received(index)]
    assert received == [each.task_id for each in many]


def test_frames_are_what_the_codec_makes() -> None:
    assert decode(encode(Ack(number=3)))[0] == Ack(number=3)


# -- the backlog -----------------------------------------------------------------------------------------


def test_who_would_go_over_the_backlog_waits() -> None:
    backlog, count, passed = Backlog(2), [2], threading.Event()

    def wait() -> None:
        backlog.wait(lambda: count[0], lambda: False)
        passed.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.05)
    assert not passed.is_set()
    count[0] = 1
    backlog.freed()
    assert passed.wait(5)
    waiting.join()
    backlog.freed()  # when nobody waits


def test_the_end_frees_who_waits_for_the_backlog() -> None:
    backlog, closed = Backlog(1), [False]
    waiting = threading.Thread(target=lambda: backlog.wait(lambda: 5, lambda: closed[0]))
    waiting.start()
    closed[0] = True
    waiting.join(5)
    assert not waiting.is_alive()
