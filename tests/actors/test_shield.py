"""The shield: Ctrl-C waits until what was begun is finished, and nothing else can break in."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from callboard.actors.shield import Shield


class Woken:
    """Counts how often it was called."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


@pytest.fixture(autouse=True)
def as_in_a_script() -> Iterator[None]:
    """Ctrl-C as Python sets it, whatever started the tests, and no alarm by which these are bounded."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    alarm = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)
    signal.signal(signal.SIGALRM, alarm)


def own_handler(number: int, frame: FrameType | None) -> None:
    """A person's."""
    raise TimeoutError


def test_an_interrupt_waits_until_the_shield_is_down() -> None:
    shield, woken = Shield(), Woken()
    assert shield.up(woken)
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    assert shield.struck and woken.times == 2
    with pytest.raises(KeyboardInterrupt):
        shield.down()
    assert not shield.struck and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    shield.down()  # once


def test_without_an_interrupt_nothing_is_raised_and_the_handler_is_as_before() -> None:
    shield = Shield()
    for _ in range(3):
        assert shield.up(Woken())
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        shield.down()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGALRM, signal.SIGTERM, signal.SIGRTMIN + 3])
def test_it_does_not_serve_where_a_person_has_set_a_handler(number: signal.Signals) -> None:
    shield = Shield()
    assert shield.up(Woken())
    shield.down()
    before = signal.signal(number, own_handler)
    try:
        assert not shield.serves() and not shield.up(Woken())
        assert signal.getsignal(number) is own_handler
    finally:
        signal.signal(number, before)
    assert shield.serves()


@pytest.mark.parametrize("ignored", [signal.SIG_IGN, signal.SIG_DFL])
def test_what_is_ignored_or_ends_the_process_is_let_be(ignored: signal.Handlers) -> None:
    signal.signal(signal.SIGINT, ignored)
    shield = Shield()
    assert shield.up(Woken())
    assert signal.getsignal(signal.SIGINT) is ignored
    shield.down()
    assert signal.getsignal(signal.SIGINT) is ignored


def test_a_child_that_is_forked_off_meanwhile_can_be_interrupted() -> None:
    shield = Shield()
    assert shield.up(Woken())
    child = os.fork()
    if not child:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            os._exit(7)
        os._exit(1)
    shield.down()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
