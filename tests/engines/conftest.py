"""Every executor behind one fixture: what a flow comes to must not depend on where its atoms run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from callboard.engines import AsyncExecutor, Executor, ParallelExecutor, SyncExecutor

KINDS = ("sync", "threads", "processes", "async")


def make_executor(kind: str, **options: Any) -> Executor:
    """An executor of a kind, with two places where it has any."""
    if kind == "sync":
        return SyncExecutor(**options)
    if kind == "threads":
        return ParallelExecutor(max_workers=2, **options)
    if kind == "processes":
        return ParallelExecutor(max_workers=2, processes=True, **options)
    return AsyncExecutor(max_workers=2, **options)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def executor(kind: str) -> Iterator[Executor]:
    yield make_executor(kind)


class Heard:
    """What atoms said and how they went, in order, as ``(state or topic, atom, details)``; and how the flow went."""

    def __init__(self, executor: Executor) -> None:
        self.words: list[tuple[str, str, dict[str, Any]]] = []
        self.flow: list[str] = []
        executor.atom_notifier.register("*", self._atom)
        executor.notifier.register("*", self._flow)

    def _atom(self, state: str, details: Any) -> None:
        self.words.append((state, details["task_name"], dict(details)))

    def _flow(self, state: str, details: Any) -> None:
        self.flow.append(state)

    def of(self, *states: str) -> list[str]:
        """The atoms that came to these states, in order."""
        return [name for state, name, _ in self.words if state in states]

    def said(self, topic: str) -> list[dict[str, Any]]:
        """What was said under a topic, in order."""
        return [details for state, _, details in self.words if state == topic]


@pytest.fixture
def heard(executor: Executor) -> Heard:
    return Heard(executor)
