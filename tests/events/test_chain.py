"""The guard against listeners that start each other for ever."""

from __future__ import annotations

import pytest

from callboard.events import Chain
from callboard.events.chain import BREADTH
from callboard.messages.errors import ChainTooDeep


def follow(chain: Chain, listener: str, max_chain: int = 3, crowd: int = 0) -> Chain:
    return chain.follow(listener, max_chain, "the task", "task.completed", crowd)


def test_depth_grows_up_to_the_limit() -> None:
    chain = Chain()
    for _ in range(3):
        chain = follow(chain, "a")
    assert chain.depth == 3
    with pytest.raises(ChainTooDeep, match=r"the task, started by 'task.completed', would be number 4 of a chain .* max_chain allows 3"):
        follow(chain, "a")


def test_a_listener_is_come_to_again_by_what_it_caused_alone() -> None:
    first = Chain()
    one, other = follow(first, "a"), follow(first, "a")
    assert not one.again and not other.again
    assert not follow(one, "b").again
    assert follow(follow(one, "b"), "a").again


def test_what_comes_again_has_a_bound_over_all_branches_and_the_rest_has_none() -> None:
    first = Chain()
    one, other = follow(first, "a"), follow(first, "a")
    for _ in range(3 * BREADTH // 2):
        follow(one, "a")
        follow(other, "a")
    for branch in (one, other):
        with pytest.raises(ChainTooDeep, match=r"the task, started by 'task.completed', is one of ever more: .* 300 times"):
            follow(branch, "a")
    for _ in range(4 * BREADTH):
        follow(one, "b")
    assert follow(follow(Chain(), "a"), "a").again


def test_a_crowd_stops_the_first_cause_for_good() -> None:
    one, other = follow(Chain(), "a"), follow(Chain(), "a")
    assert follow(one, "b", crowd=3 * BREADTH).depth == 2
    with pytest.raises(ChainTooDeep, match="ever more"):
        follow(one, "a", crowd=3 * BREADTH)
    with pytest.raises(ChainTooDeep, match="ever more"):
        follow(one, "a")
    assert follow(other, "a").again


def test_the_first_refusal_of_each_first_cause_is_known() -> None:
    one, other = Chain(), Chain()
    assert one.first_refusal()
    assert not follow(one, "a").first_refusal()
    assert other.first_refusal()
