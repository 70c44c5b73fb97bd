"""Aggregators and functions behind one face."""

from __future__ import annotations

from typing import Any

import pytest

from callboard.gather import Aggregator, Feed, make_join
from callboard.messages.errors import InvalidTask
from callboard.messages.result import TaskResult
from callboard.messages.status import TaskStatus


class Names(Aggregator):
    def __init__(self) -> None:
        self.names: list[str] = []

    def add(self, result: TaskResult) -> None:
        self.names.append(result.name)

    def finish(self) -> list[str]:
        return self.names


def feed(index: int, status: TaskStatus = TaskStatus.COMPLETED) -> Feed:
    return Feed(index, TaskResult(f"id-{index}", f"item-{index}", status, output=index))


@pytest.mark.parametrize("join", [Names(), Names], ids=["an instance", "a class"])
def test_an_aggregator_gets_results_as_they_arrive(join: Any) -> None:
    made = make_join(join)
    for index in (2, 0, 1):
        made.feed(feed(index))
    assert made.finish() == ["item-2", "item-0", "item-1"]


def test_a_function_gets_outputs_in_the_items_order() -> None:
    made = make_join(lambda outputs: outputs[0] - sum(outputs[1:]))
    for index in (2, 7, 1):
        made.feed(feed(index))
    assert made.finish() == 1 - (2 + 7)


def test_a_failed_item_stands_in_the_list_as_its_result() -> None:
    made = make_join(None)
    failed = feed(1, TaskStatus.FAILED)
    for each in (failed, feed(0)):
        made.feed(each)
    assert made.finish() == [0, failed.result]


def test_nothing_else_joins() -> None:
    with pytest.raises(InvalidTask, match="join must be a function of the list of outputs or an Aggregator, not 'sum'"):
        make_join("sum")  # type: ignore[arg-type]


class Late(Aggregator):
    async def add(self, result: TaskResult) -> None:  # type: ignore[override]
        """Would never be awaited."""

    def finish(self) -> None:
        """Nothing."""


async def summed(outputs: list[int]) -> int:
    return sum(outputs)


@pytest.mark.parametrize("join", [Late, Late(), summed])
def test_a_join_is_plain(join: Any) -> None:
    with pytest.raises(InvalidTask, match="make it a plain def, not async"):
        make_join(join)
