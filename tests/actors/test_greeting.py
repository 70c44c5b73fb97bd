"""Which hello was answered."""

from __future__ import annotations

from callboard.actors.greeting import MOST_PATIENCE, Greeting


def test_only_the_answer_to_the_newest_hello_opens_the_conversation() -> None:
    greeting = Greeting()
    greeting.said(0.0)
    greeting.said(0.1)
    assert not greeting.welcomed(1) and not greeting.answered and greeting.under_way
    assert greeting.welcomed(2) and greeting.answered and not greeting.under_way
    assert not greeting.welcomed(2)  # twice
    greeting.said(0.2)
    assert not greeting.answered and not greeting.welcomed(4) and greeting.welcomed(3)


def test_a_welcome_that_nobody_asked_for_opens_nothing() -> None:
    greeting = Greeting()
    assert not greeting.welcomed(0) and not greeting.answered
    greeting.said(0.0)
    greeting.cut()
    assert not greeting.welcomed(1) and not greeting.under_way and not greeting.answered


def test_a_hello_that_nobody_answers_is_due_again_less_and_less_often() -> None:
    greeting = Greeting()
    waits, now = [], 0.0
    for _ in range(7):
        greeting.said(now)
        waits.append(greeting.due - now)
        now = greeting.due
    assert waits == [2.0, 4.0, 8.0, 16.0, MOST_PATIENCE, MOST_PATIENCE, MOST_PATIENCE]
    assert greeting.welcomed(7)
    greeting.said(now)
    assert greeting.due == now + 2.0
