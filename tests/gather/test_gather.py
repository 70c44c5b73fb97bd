"""The rules of fan-in, over every order in which items can end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.gather import CancelRest, Close, Decision, Feed, Gather, OnError, make_join
from callboard.messages.errors import GroupFailed, InvalidSetting, QuorumNotReached, TaskCancelled
from callboard.messages.result import TaskResult
from callboard.messages.status import TaskStatus

NOT_COMPLETED = (TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.SKIPPED)


def good(index: int) -> TaskResult:
    return TaskResult(f"id-{index}", f"item-{index}", TaskStatus.COMPLETED, output=index * 10)


def bad(index: int, status: TaskStatus = TaskStatus.FAILED) -> TaskResult:
    return TaskResult(f"id-{index}", f"item-{index}", status, error="out of paint")


def answer(gather: Gather, results: list[TaskResult], order: list[int]) -> list[Decision]:
    return [*gather.start(), *(decision for index in order for decision in gather.add(index, results[index]))]


def fed(decisions: list[Decision]) -> list[int]:
    return [decision.index for decision in decisions if isinstance(decision, Feed)]


def closes(decisions: list[Decision]) -> list[Close]:
    return [decision for decision in decisions if isinstance(decision, Close)]


@st.composite
def groups(draw: st.DrawFn) -> tuple[list[TaskResult], list[int]]:
    """Results of up to a dozen items, and an order in which they come, some of them more than once."""
    statuses = draw(st.lists(st.sampled_from([TaskStatus.COMPLETED, *NOT_COMPLETED]), max_size=12))
    results = [good(index) if status is TaskStatus.COMPLETED else bad(index, status) for index, status in enumerate(statuses)]
    again = draw(st.lists(st.sampled_from(range(len(results))), max_size=6)) if results else []
    return results, draw(st.permutations([*range(len(results)), *again]))


@given(groups(), st.sampled_from(["raise", "skip", "collect"]))
def test_a_group_without_a_quorum_ends_once_and_as_its_rule_says(group: tuple[list[TaskResult], list[int]], rule: str) -> None:
    results, order = group
    decisions = answer(Gather(len(results), rule), results, order)
    (close,) = closes(decisions)
    assert decisions[-1] is close
    failures = [index for index in order if not results[index].success]
    if rule == "raise" and failures:
        assert close.status is TaskStatus.FAILED
        assert isinstance(close.error, GroupFailed)
        assert close.culprit is results[failures[0]]
        before = order[: order.index(failures[0])]
        assert fed(decisions) == list(dict.fromkeys(before))
        assert (CancelRest() in decisions) is (len(set(before)) + 1 < len(results))
    else:
        assert close == Close(TaskStatus.COMPLETED)
        wanted = [index for index in dict.fromkeys(order) if rule == "collect" or results[index].success]
        assert fed(decisions) == wanted
        assert CancelRest() not in decisions


@given(groups(), st.sampled_from(["raise", "skip", "collect"]), st.data())
def test_a_quorum_ends_the_group_at_the_first_moment_it_is_decided(
    group: tuple[list[TaskResult], list[int]], rule: str, data: st.DataObject
) -> None:
    results, order = group
    if not results:
        return
    quorum = data.draw(st.integers(1, len(results)))
    gather = Gather(len(results), rule, quorum)
    successes = failures = 0
    for index in dict.fromkeys(order):
        decisions = list(gather.add(index, results[index]))
        successes += results[index].success
        failures += not results[index].success
        reached, lost = successes == quorum, len(results) - failures < quorum
        assert [close.status for close in closes(decisions)] == [TaskStatus.COMPLETED] * reached + [TaskStatus.FAILED] * lost
        assert (Feed(index, results[index]) in decisions) is (results[index].success or rule == "collect")
        assert (CancelRest() in decisions) is ((reached or lost) and successes + failures < len(results))
        if reached or lost:
            assert isinstance(decisions[-1], Close)
            assert gather.closed
            assert all(gather.add(other, results[other]) == () for other in order)
            return
    raise AssertionError("a quorum is always decided when all have answered")


@given(groups(), st.sampled_from(["skip", "collect"]))
def test_a_function_gets_the_outputs_in_the_items_order(group: tuple[list[TaskResult], list[int]], rule: str) -> None:
    results, order = group
    join = make_join(None)
    for decision in answer(Gather(len(results), rule), results, order):
        if isinstance(decision, Feed):
            join.feed(decision)
    wanted: list[Any] = [result.output if result.success else result for result in results if result.success or rule == "collect"]
    assert join.finish() == wanted


def test_a_failure_names_the_item_and_why() -> None:
    gather = Gather(3)
    cancel, close = gather.add(1, bad(1))
    assert cancel == CancelRest()
    assert isinstance(close, Close)
    assert str(close.error) == "item 1 of 3 ('item-1') failed: out of paint"


def test_a_missed_quorum_names_the_score() -> None:
    gather = Gather(3, quorum=2)
    gather.add(0, bad(0))
    cancel, close = gather.add(2, bad(2))
    assert cancel == CancelRest()
    assert isinstance(close, Close)
    assert isinstance(close.error, QuorumNotReached)
    assert str(close.error) == "0 of 3 items succeeded and 2 failed, of the quorum of 2; the last to fail: out of paint"


def test_an_empty_group_is_complete_at_once() -> None:
    gather = Gather(0)
    assert gather.start() == (Close(TaskStatus.COMPLETED),)
    assert gather.closed


def test_a_group_with_items_waits_for_them() -> None:
    gather = Gather(2)
    assert gather.start() == ()
    assert list(gather.open_items) == [0, 1]
    gather.add(1, good(1))
    assert list(gather.open_items) == [0]


@pytest.mark.parametrize("rule", list(OnError))
def test_a_timeout_keeps_what_has_come(rule: OnError) -> None:
    gather = Gather(3, rule)
    gather.add(2, good(2))
    assert gather.timeout() == (CancelRest(), Close(TaskStatus.COMPLETED))
    assert gather.timeout() == ()
    assert gather.add(0, good(0)) == ()


def test_a_timeout_before_the_quorum_fails_the_group() -> None:
    gather = Gather(4, quorum=2)
    gather.add(0, good(0))
    cancel, close = gather.timeout()
    assert cancel == CancelRest()
    assert isinstance(close, Close)
    assert close.status is TaskStatus.FAILED
    assert str(close.error) == "1 of 4 items succeeded and 0 failed, of the quorum of 2 when the time was up"


def test_a_group_can_be_cancelled_once() -> None:
    gather = Gather(2)
    gather.add(0, good(0))
    cancel, close = gather.cancel()
    assert cancel == CancelRest()
    assert isinstance(close, Close)
    assert close.status is TaskStatus.CANCELLED
    assert isinstance(close.error, TaskCancelled)
    assert gather.cancel() == gather.timeout() == ()


@pytest.mark.parametrize("quorum", [0, 4, -1, 1.5, True])
def test_a_quorum_that_cannot_work_is_refused(quorum: int) -> None:
    with pytest.raises(InvalidSetting, match=r"quorum must be a whole number from 1 to the number of items \(3\)"):
        Gather(3, quorum=quorum)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="on_error must be one of 'raise', 'skip', 'collect', not 'ignore'"):
        Gather(3, "ignore")
