"""Atoms that are made while the flow runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from callboard.flows.flow import Flow, UnorderedFlow
from callboard.flows.task import Task
from callboard.messages.errors import InvalidFlow


class Expansion:
    """What a task returns to have more done: a flow, or tasks that run in any order; and its own ``result``.

    They run behind the task and before everything that comes behind it. They find what the task found and what it
    provides; names that the task promised in ``provides`` and its result (a dict) lacks are theirs to give.
    """

    __slots__ = ("flow", "result")

    def __init__(self, work: Flow | Iterable[Task], result: Any = None) -> None:
        self.flow = work if isinstance(work, Flow) else UnorderedFlow("expansion").add(*_tasks(work))
        self.result = result


def _tasks(work: Any) -> list[Any]:
    if not isinstance(work, Iterable):
        raise InvalidFlow(f"an Expansion takes a flow or tasks, not {work!r}")
    return list(work)
