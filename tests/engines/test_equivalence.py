"""Random flows come to the same, step for step, whether they run through or are suspended at every word and resumed."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from callboard.engines import Executor, FlowResult, ParallelExecutor, SyncExecutor
from callboard.flows import (
    AlwaysRevert,
    AlwaysRevertAll,
    Depth,
    Flow,
    FlowStatus,
    ForEach,
    GraphFlow,
    LinearFlow,
    Retry,
    Task,
    Times,
)
from callboard.messages.errors import CallboardError
from callboard.messages.failure import Failure
from callboard.resilience import RetryPolicy
from callboard.state import StateManager


class World:
    """What the tasks of one run did, however often they were made anew, and how often each is to fail first."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.ran: Counter[str] = Counter()


class Step(Task):
    def __init__(self, name: str, world: World, fails: int, stuck: bool, **declared: Any) -> None:
        super().__init__(name, **declared)
        self.world, self.fails, self.stuck = world, fails, stuck

    def execute(self, value: object = None) -> str:
        self.world.ran[self.name] += 1
        self.world.log.append(f"{self.name} does {value}")
        if self.world.ran[self.name] <= self.fails:
            raise ValueError(self.name)
        return f"{self.name} {self.world.ran[self.name]}"

    def revert(self, result: object, flow_failures: dict[str, Failure], value: object = None) -> None:
        told = "its failure" if isinstance(result, Failure) else result
        self.world.log.append(f"{self.name} undoes {value}, {told}, because of {sorted(flow_failures)}")
        if self.stuck:
            raise OSError(self.name)


class Maker:
    """Makes the same flow for the same seed: in an order without a choice, so that every run takes the same steps."""

    def __init__(self, seed: int, world: World) -> None:
        self.random = random.Random(seed)
        self.world = world
        self.numbers = itertools.count()

    def flow(self, depth: int = 3) -> Flow:
        """Some tasks and flows, linear or as a graph with deciders."""
        number = next(self.numbers)
        retry = self.controller(number)
        items = [self.item(depth) for _ in range(self.random.randint(1, 4))]
        if self.random.random() < 0.6:
            return LinearFlow(f"flow {number}", retry).add(*items)
        graph = GraphFlow(f"flow {number}", retry).add(*items)
        for source, target in itertools.combinations(range(len(items)), 2):
            if target == source + 1 or self.random.random() < 0.2:
                decider = self.random.choice([None, None, lambda history: False, lambda history: True])
                graph.link(items[source], items[target], decider, self.random.choice(list(Depth)))
        return graph

    def controller(self, number: int) -> Retry | None:
        """One in three flows has none."""
        made: list[Callable[[], Retry | None]] = [
            lambda: None,
            lambda: None,
            lambda: Times(self.random.randint(1, 3), name=f"retry {number}"),
            lambda: ForEach(range(self.random.randint(1, 3)), name=f"retry {number}", provides="value", revert_all=number % 5 == 0),
            lambda: AlwaysRevert(f"retry {number}"),
            lambda: AlwaysRevertAll(f"retry {number}"),
        ]
        return self.random.choice(made)()

    def item(self, depth: int) -> Task | Flow:
        """A flow, or a task that may fail some times at first."""
        if depth and self.random.random() < 0.45:
            return self.flow(depth - 1)
        policy = self.random.choice([None, None, None, RetryPolicy(max_attempts=2)])
        fails = self.random.choice([0] * 12 + [1, 1, 2, 3, 99])
        return Step(f"task {next(self.numbers)}", self.world, fails, self.random.random() < 0.03, retry_policy=policy)


def through(made: type[Executor], seed: int) -> tuple[FlowResult, World]:
    world = World()
    with made() as executor:
        return executor.execute(Maker(seed, world).flow(), {"value": "it"}), world


def in_steps(seed: int, often: float) -> tuple[FlowResult, World]:
    world, chance = World(), random.Random(seed)

    def executors() -> Iterator[Executor]:
        while True:
            executor = SyncExecutor(state=state)
            suspend = executor.suspend
            executor.atom_notifier.register("*", lambda *_, suspend=suspend: suspend() if chance.random() < often else None)
            yield executor

    with StateManager("memory:") as state:
        fresh = executors()
        result = next(fresh).execute(Maker(seed, world).flow(), {"value": "it"}, run_id="run")
        while result.status is FlowStatus.SUSPENDED:
            result = next(fresh).resume("run", Maker(seed, world).flow())
    return result, world


def ending(result: FlowResult) -> tuple[Any, ...]:
    return result.status, dict(result.outputs), dict(result.states), sorted(result.failures)


@pytest.mark.parametrize("seeds", [range(start, start + 20) for start in range(0, 200, 20)], ids=str)
def test_whoever_is_interrupted_at_any_word_takes_the_same_steps(seeds: range) -> None:
    for seed in seeds:
        try:
            result, world = through(SyncExecutor, seed)
        except CallboardError:
            continue  # two deciders in a ring, or the like
        assert result.status in (FlowStatus.COMPLETED, FlowStatus.REVERTED, FlowStatus.FAILED), seed
        for other, its_world in (in_steps(seed, 1.0), in_steps(seed, 0.3), through(ParallelExecutor, seed)):
            assert (seed, ending(other), its_world.log) == (seed, ending(result), world.log)
