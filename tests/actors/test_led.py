"""The mailbox whose turn others may have: whoever has it sees what comes, and somebody always has it in the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from callboard.actors.led import LedMailbox
from callboard.actors.mailbox import Mail

PATIENCE = 20.0


class Envelope:
    """What pykka puts into an inbox."""

    def __init__(self, message: Any) -> None:
        self.message = message
        self.reply_to = None


class Owner:
    """The actor's own thread: notes what it gets, and steps aside when it is told to."""

    def __init__(self, mailbox: LedMailbox) -> None:
        self.got: list[Any] = []
        self._mailbox = mailbox
        self._over = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over:
            found = self._mailbox.get()
            if type(found) is not Mail:
                self.got.append(found.message)
                continue
            for item in found.items:
                if item == "aside":
                    self._mailbox.step_aside()
                elif item == "end":
                    self._over = True
                else:
                    self.got.append(item)

    def end(self) -> None:
        self._mailbox.post("end")
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self._mailbox.close()


@pytest.fixture
def mailbox() -> LedMailbox:
    return LedMailbox()


@pytest.fixture
def owner(mailbox: LedMailbox) -> Iterator[Owner]:
    made = Owner(mailbox)
    yield made
    made.end()


def wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.0002)


def wait_for(count: int, *rows: list[Any]) -> None:
    wait(lambda: sum(map(len, rows)) == count)


def take(mailbox: LedMailbox) -> None:
    """Get the turn from the owner, who takes it again after a moment in which nobody had it."""

    def taken() -> bool:
        if mailbox.take_turn():
            return True
        mailbox.post("aside")
        return False

    wait(taken)


def test_the_owner_has_the_turn_until_it_steps_aside(mailbox: LedMailbox, owner: Owner) -> None:
    assert not mailbox.take_turn()
    mailbox.post(1)
    wait(lambda: owner.got == [1])
    assert not mailbox.take_turn()
    take(mailbox)
    assert not mailbox.take_turn()  # one thread at a time
    mailbox.give_back()


def test_who_leads_gets_what_comes_and_is_woken_for_it(mailbox: LedMailbox, owner: Owner) -> None:
    take(mailbox)
    threading.Timer(0.05, mailbox.post, [1]).start()
    got: list[Any] = []
    until = time.monotonic() + PATIENCE
    while 1 not in got:
        mail = mailbox.next_mail(until)
        assert mail is not None and time.monotonic() < until
        got += mail.items
    assert owner.got == []
    mailbox.give_back()


def test_who_leads_gets_empty_mail_when_its_time_is_up(mailbox: LedMailbox, owner: Owner) -> None:
    take(mailbox)
    while (mail := mailbox.next_mail(time.monotonic() + 0.01)) is not None and mail.items:
        pass  # it was asked to step aside more often than needed
    assert mail == Mail([], [], [])
    mailbox.give_back()


def test_who_leads_looks_up_when_it_is_prodded(mailbox: LedMailbox, owner: Owner) -> None:
    take(mailbox)
    threading.Timer(0.05, mailbox.prod).start()
    begun = time.monotonic()
    threading.Timer(0.1, mailbox.post, ["late"]).start()  # a prod wakes, but is no mail
    while "late" not in (mailbox.next_mail(begun + PATIENCE) or Mail([], [], [])).items:
        assert time.monotonic() < begun + PATIENCE
    mailbox.give_back()


def test_an_envelope_is_for_the_owner(mailbox: LedMailbox, owner: Owner) -> None:
    take(mailbox)
    mailbox.put(Envelope("stop"))
    while mailbox.next_mail(time.monotonic() + PATIENCE) is not None:
        pass
    assert owner.got == []
    mailbox.give_back()
    wait(lambda: owner.got == ["stop"])


def test_what_comes_while_nobody_has_the_turn_is_for_the_owner(mailbox: LedMailbox, owner: Owner) -> None:
    for number in range(200):
        take(mailbox)
        mailbox.give_back()
        mailbox.post(number)
        wait_for(number + 1, owner.got)
    assert owner.got == list(range(200))


def test_what_comes_just_as_who_leads_leaves_is_not_left_lying(mailbox: LedMailbox, owner: Owner) -> None:
    led: list[Any] = []
    for number in range(300):
        take(mailbox)
        poster = threading.Thread(target=mailbox.post, args=(number,))
        poster.start()
        mail = mailbox.next_mail(time.monotonic())
        assert mail is not None
        led += [item for item in mail.items if item != "aside"]
        mailbox.give_back()
        poster.join()
        wait_for(number + 1, led, owner.got)
    assert sorted(led + owner.got) == list(range(300))


@pytest.mark.parametrize("more", [False, True])
def test_the_owner_takes_the_turn_that_nobody_wants(mailbox: LedMailbox, owner: Owner, more: bool) -> None:
    take(mailbox)
    mailbox.has_led(more)
    mailbox.give_back()
    wait(mailbox.turn.locked)
    assert not mailbox.take_turn()
