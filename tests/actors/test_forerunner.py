"""The handles of tasks that were submitted because another one names them."""

from __future__ import annotations

import gc
from typing import cast

from callboard.actors.forerunner import Forerunners
from callboard.actors.handle import TaskHandle


class Named:
    """Equal to every other, so that only identity tells them apart."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named)

    __hash__ = object.__hash__


def handle() -> TaskHandle:
    return cast(TaskHandle, object())


def test_each_handle_is_given_once_and_by_identity() -> None:
    forerunners = Forerunners()
    first, second, kept = Named(), Named(), handle()
    forerunners.keep(first, kept)
    assert forerunners.kept and forerunners.holds(first)
    assert not forerunners.holds(second) and forerunners.take(second) is None
    assert forerunners.take(first) is kept
    assert not forerunners.kept and not forerunners.holds(first) and forerunners.take(first) is None


def test_a_task_that_is_gone_is_forgotten() -> None:
    forerunners = Forerunners()
    forerunners.keep(Named(), handle())
    gc.collect()
    assert not forerunners.kept
