"""The base of our actors: opening, failing, stopping, and mistakes while they receive."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pykka
import pytest
import zmq

from callboard.actors.actor import SocketActor, new_socket
from callboard.actors.mailbox import Mail
from tests.playground.crew import until


class Plain(SocketActor):
    """Keeps what it receives; raises what it is sent, holds on where it is told to, and after a number has so many seconds."""

    def __init__(self, trouble: BaseException | None = None) -> None:
        super().__init__()
        self.trouble = trouble
        self.received: list[Any] = []
        self.threads: set[int] = set()
        self.closed = 0
        self.due: float | None = None
        self.ticks = 0
        self.gate = threading.Event()

    def open(self) -> None:
        self.threads.add(threading.get_ident())
        self.context: zmq.Context[Any] = zmq.Context()
        self.socket = new_socket(self.context, zmq.PULL)
        self.mailbox.watch(self.socket)
        self.socket.bind("inproc://plain")
        if self.trouble is not None:
            raise self.trouble

    def receive(self, mail: Mail) -> None:
        self.threads.add(threading.get_ident())
        self.ticks += not mail.items
        self.due = None
        for item in mail.items:
            if isinstance(item, BaseException):
                raise item
            if item == "hold":
                self.gate.wait(20)
            if isinstance(item, float):
                self.due = time.monotonic() + item
            self.received.append(item)

    def close(self) -> None:
        self.closed += 1
        self.threads.add(threading.get_ident())
        self.mailbox.unwatch(self.socket)
        self.socket.close(0)
        self.context.term()

    def next_deadline(self) -> float | None:
        return self.due

    def double(self, value: int) -> int:
        return 2 * value


def test_it_lives_in_one_thread_of_its_own_and_is_a_pykka_actor(no_leaks: None) -> None:
    actor, ref = Plain.launch()
    assert isinstance(ref, pykka.ActorRef) and ref.is_alive() and ref in _alive()
    actor.mailbox.post("one")
    assert ref.proxy().double(4).get() == 8
    until(lambda: actor.received == ["one"], "the message")
    ref.stop()
    assert actor.threads == {actor.thread_id} and actor.thread_id != threading.get_ident()
    assert actor.closed == 1 and not ref.is_alive() and ref not in _alive()


def _alive() -> list[pykka.ActorRef[Any]]:
    return pykka.ActorRegistry.get_by_class(Plain)


@pytest.mark.parametrize("trouble", [OSError("in use"), KeyboardInterrupt(), SystemExit(3)])
def test_failing_to_open_is_told_to_who_launches_it(trouble: BaseException, no_leaks: None) -> None:
    with pytest.raises(type(trouble)):
        Plain.launch(trouble)
    assert not _alive()


def test_a_mistake_with_one_message_does_not_end_the_actor(caplog: pytest.LogCaptureFixture, no_leaks: None) -> None:
    actor, ref = Plain.launch()
    with caplog.at_level(logging.ERROR, "callboard"):
        actor.mailbox.post(ValueError("bad message"))
        until(lambda: "bad message" in caplog.text, "the log")
        actor.mailbox.post("fine")
        until(lambda: actor.received == ["fine"], "the next message")
    assert "Plain could not handle a message" in caplog.text
    assert ref.stop() is True and actor.closed == 1


def test_a_terminated_context_ends_the_actor() -> None:
    actor, ref = Plain.launch()
    actor.mailbox.post(zmq.ContextTerminated())
    assert actor.end(20) is True
    assert actor.closed == 1 and not ref.is_alive()


def test_a_deadline_wakes_it(no_leaks: None) -> None:
    actor, ref = Plain.launch()
    actor.mailbox.post(0.01)
    until(lambda: actor.ticks > 0, "the deadline")
    assert actor.received == [0.01] and actor.due is None
    ref.stop()


def test_who_asks_an_actor_that_ends_is_told(no_leaks: None) -> None:
    actor, ref = Plain.launch()
    actor.mailbox.post("hold")
    answer = ref.proxy().double(1)
    stopping = ref.stop(block=False)
    actor.gate.set()
    stopping.get()
    try:
        assert answer.get(timeout=10) == 2
    except pykka.ActorDeadError:
        pass
    with pytest.raises(pykka.ActorDeadError):
        ref.proxy().double(1).get()


def test_the_end_waits_no_longer_than_it_is_told(no_leaks: None) -> None:
    actor, ref = Plain.launch()
    actor.mailbox.post("hold")
    assert actor.end(0.05) is False and ref.is_alive()
    actor.gate.set()
    assert actor.end(10) is True and actor.closed == 1
    assert actor.end(10) is True


def test_an_actor_may_end_itself(no_leaks: None) -> None:
    actor, ref = Plain.launch()
    done = threading.Event()

    class Ending(str):
        def __eq__(self, other: object) -> bool:
            done.set() if actor.end(0) else None
            return False

        __hash__ = str.__hash__

    actor.mailbox.post(Ending())
    assert done.wait(20)
    assert actor.end(20) is True
    assert actor.closed == 1 and not ref.is_alive()


def test_sockets_have_bounds() -> None:
    context: zmq.Context[Any] = zmq.Context()
    made = new_socket(context, zmq.DEALER, prepare=lambda socket: setattr(socket, "identity", b"me"))
    options = {name: int(getattr(made, name)) for name in ("linger", "maxmsgsize", "heartbeat_ivl", "rcvhwm")}
    assert made.identity == b"me" and 0 <= options["linger"] <= 1000 and options["maxmsgsize"] > 0
    assert options["heartbeat_ivl"] > 0 and options["rcvhwm"] == 0
    context.destroy(0)
