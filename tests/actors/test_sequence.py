"""Numbered messages, and what a receiver makes of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.sequence import Heard, Kept, Verdict


def test_only_the_next_is_taken() -> None:
    heard = Heard(4)
    assert [heard.take(number) for number in (4, 6, 5, 5, 6)] == ["again", "gap", "next", "again", "next"]
    assert heard.upto == 6


def test_the_sender_may_know_of_more_that_was_taken() -> None:
    heard = Heard(2)
    heard.settled(5)
    heard.settled(1)
    assert heard.upto == 5


def test_to_judge_is_not_to_take() -> None:
    heard = Heard()
    assert heard.judge(1) is heard.judge(1) is Verdict.NEXT and heard.upto == 0


def test_what_was_heard_is_kept_no_longer() -> None:
    kept = Kept[str]()
    for item in "abcd":
        kept.add(item)
    assert kept.acknowledged(2) == ["a", "b"] and list(kept) == ["c", "d"] and (kept.settled, kept.next) == (2, 5)
    assert kept.acknowledged(1) == [] and kept.acknowledged(99) == ["c", "d"] and (kept.settled, kept.next) == (4, 5)
    assert not kept


@given(st.lists(st.integers(0, 9)))
def test_everything_arrives_once_and_in_order_whatever_the_link_loses(chances: list[int]) -> None:
    kept, heard, taken = Kept[int](), Heard(), list[int]()

    def arrives(number: int, item: int) -> None:
        if heard.take(number) is Verdict.NEXT:
            taken.append(item)

    for turn, chance in enumerate(chances):
        number = kept.next
        kept.add(turn)
        if chance >= 3:
            arrives(number, turn)
        if chance >= 6:
            kept.acknowledged(heard.upto)
        if chance == 0:
            for offset, item in enumerate(list(kept), kept.settled + 1):
                arrives(offset, item)
    for offset, item in enumerate(list(kept), kept.settled + 1):
        arrives(offset, item)
    assert taken == list(range(len(chances)))
