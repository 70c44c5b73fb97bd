"""The mailbox: local items and remote frames through one door, and a reader that is woken for each."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from callboard.actors.mailbox import Mail, Mailbox, Wake


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    made = Mailbox()
    yield made
    made.close()


class Envelope:
    """What pykka puts into an inbox."""

    def __init__(self, message: Any) -> None:
        self.message = message
        self.reply_to = None


def mail(mailbox: Mailbox) -> Mail:
    envelope = mailbox.get()
    assert isinstance(envelope, Mail)
    return envelope.message


def test_what_has_gathered_comes_out_together_and_in_order(mailbox: Mailbox) -> None:
    assert mailbox.empty() and len(mailbox) == 0
    for number in range(5):
        mailbox.post(number)
    assert not mailbox.empty() and len(mailbox) == 5
    assert mail(mailbox).items == [0, 1, 2, 3, 4]
    assert mailbox.empty()


def test_envelopes_come_out_one_by_one(mailbox: Mailbox) -> None:
    first, second = Envelope("a"), Envelope("b")
    mailbox.put(first)
    mailbox.post(1)
    mailbox.put(second)
    mailbox.post(2)
    assert len(mailbox) == 2
    assert mail(mailbox).items == [1, 2]
    assert mailbox.get() is first and not mailbox.empty() and mailbox.get() is second


def test_what_was_posted_before_an_envelope_comes_out_before_it(mailbox: Mailbox) -> None:
    rounds = 2000
    got: list[Any] = []

    def read() -> None:
        while len(got) < 2 * rounds:
            found = mailbox.get()
            got.extend(found.items if type(found) is Mail else [found.message])

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(rounds):
        mailbox.post(number)
        mailbox.put(Envelope(number))
    reader.join(20)
    assert sorted(got) == sorted([*range(rounds), *range(rounds)])
    posted: dict[int, int] = {}
    asked: dict[int, int] = {}
    for place, number in enumerate(got):
        (asked if number in posted else posted)[number] = place
    assert list(posted) == list(asked) == list(range(rounds))


def test_a_sleeping_reader_is_woken(mailbox: Mailbox) -> None:
    got: list[Any] = []
    reader = threading.Thread(target=lambda: got.append(mail(mailbox).items))
    reader.start()
    time.sleep(0.05)  # asleep by now, most likely; it must be woken either way
    mailbox.post("news")
    reader.join(10)
    assert got == [["news"]]


def test_nothing_is_lost_between_looking_and_sleeping(mailbox: Mailbox, full: bool) -> None:
    count = 20_000 if full else 3_000
    got: list[Any] = []

    def read() -> None:
        while not got or got[-1] is not None:
            got.extend(mail(mailbox).items)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(count):
        mailbox.post(number)
        if number % 7 == 0:
            time.sleep(0)
    mailbox.post(None)
    reader.join(20)
    assert got == [*range(count), None]


def test_frames_descriptors_and_items_come_through_one_door(mailbox: Mailbox) -> None:
    context: zmq.Context[Any] = zmq.Context()
    pull, push = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    near, far = socket.socketpair()
    try:
        pull.bind("inproc://here")
        push.connect("inproc://here")
        mailbox.watch(pull)
        mailbox.watch(near.fileno())
        push.send_multipart([b"one", b"two"])
        found = mail(mailbox)
        assert [(who, [frame.bytes for frame in frames]) for who, frames in found.frames] == [(pull, [b"one", b"two"])]
        far.send(b"!")
        assert mail(mailbox).ready == [near.fileno()]
        near.recv(1)
        push.send(b"three")
        mailbox.post("item")
        seen: list[Any] = []
        while len(seen) < 2:
            found = mail(mailbox)
            seen += [*found.items, *(frames[0].bytes for _, frames in found.frames)]
        assert set(seen) == {"item", b"three"}
        mailbox.unwatch(pull)
        push.send(b"unheard")
        mailbox.post("only this")
        assert mail(mailbox) == Mail(["only this"], [], [])
    finally:
        for each in (near, far):
            each.close()
        context.destroy(0)


def test_local_items_do_not_starve_the_sockets(mailbox: Mailbox) -> None:
    context: zmq.Context[Any] = zmq.Context()
    pull, push = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    try:
        pull.bind("inproc://here")
        push.connect("inproc://here")
        mailbox.watch(pull)
        push.send(b"remote")
        rounds = 0
        mailbox.post("again")
        while not mail(mailbox).frames:
            mailbox.post("again")  # as one who tells itself all the time
            rounds += 1
            assert rounds < 10
    finally:
        context.destroy(0)


def test_a_deadline_gives_an_empty_mail(mailbox: Mailbox) -> None:
    due = time.monotonic() + 0.05
    mailbox.deadline = lambda: due
    assert mail(mailbox) == Mail([], [], []) and time.monotonic() >= due - 0.002


def test_get_never_raises(mailbox: Mailbox) -> None:
    def broken() -> float:
        raise RuntimeError("no clock")

    mailbox.deadline = broken
    error = mail(mailbox).error
    assert isinstance(error, RuntimeError)


def test_after_closing_only_envelopes_come(mailbox: Mailbox) -> None:
    asked = Envelope("still asked")
    mailbox.post("dropped")
    mailbox.put(asked)
    mailbox.close()
    mailbox.close()
    mailbox.post("late")
    assert mailbox.get() is asked
    assert mail(mailbox) == Mail([], [], [])


def test_closing_lets_the_descriptor_go(no_leaks: None) -> None:
    made = [Mailbox() for _ in range(50)]
    assert len(os.listdir("/proc/self/fd")) >= 50
    for mailbox in made:
        mailbox.close()


@pytest.mark.parametrize("eventfd", [True, False])
def test_a_wake_is_readable_from_set_to_clear(monkeypatch: pytest.MonkeyPatch, eventfd: bool, no_leaks: None) -> None:
    if not eventfd:
        monkeypatch.delattr(os, "eventfd", raising=False)
    wake = Wake()
    poller = zmq.Poller()
    poller.register(wake.fd, zmq.POLLIN)
    try:
        assert not poller.poll(0)
        wake.clear()  # of what is clear
        for _ in range(3):
            wake.set()
        assert poller.poll(0)
        wake.clear()
        assert not poller.poll(0)
    finally:
        wake.close()


def test_a_full_pair_of_sockets_stays_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "eventfd", raising=False)
    wake = Wake()
    poller = zmq.Poller()
    poller.register(wake.fd, zmq.POLLIN)
    try:
        for _ in range(100_000):
            wake.set()
        assert poller.poll(0)
        wake.clear()
        wake.set()
        assert poller.poll(0)
    finally:
        wake.close()
