"""Every executor behind one fixture: what a flow comes to must not depend on where its atoms run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from callboard.engines import AsyncExecutor, DistributedExecutor, Executor, ParallelExecutor, SyncExecutor
from callboard.engines.children import Children
from callboard.playground import Playground

KINDS = ("sync", "threads", "processes", "async", "distributed")
ELSEWHERE = ("processes", "distributed")
"""Where an instance does not outlive an attempt."""

_stages: list[Playground] = []
_children = Children(2)


def make_executor(kind: str, **options: Any) -> Executor:
    """An executor of a kind, with two places where it has any."""
    if kind == "distributed":
        return DistributedExecutor(_stages[0], max_submitted=2, **options)
    if kind == "sync":
        return SyncExecutor(**options)
    if kind == "threads":
        return ParallelExecutor(max_workers=2, **options)
    if kind == "processes":
        return with_children(ParallelExecutor(max_workers=2, processes=True, **options))
    return AsyncExecutor(max_workers=2, **options)


def with_children(executor: ParallelExecutor) -> ParallelExecutor:
    """One executor's child processes serve the next: beginning them is most of a test's time."""
    executor._children = _children
    return executor


@pytest.fixture(scope="session", autouse=True)
def children() -> Iterator[None]:
    yield
    _children.close()


@pytest.fixture(scope="session")
def stage() -> Iterator[Playground]:
    """A playground with two plain workers, for all tests of this folder."""
    with Playground("engines").play(workers=2) as stage:
        _stages.append(stage)
        yield stage
        _stages.clear()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "distributed":
        request.getfixturevalue("stage")
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
