"""The machine against a simple model, over random flows, failures, decisions, orders, suspensions and crashes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.flows import AtomState, Decision, Depth, Flow, FlowStatus, GraphFlow, LinearFlow, Task, Times, UnorderedFlow, Verdict
from callboard.flows.command import Await, Consult, Decide, Execute, Revert, Sleep
from callboard.flows.compilation import compile_flow
from callboard.flows.machine import FlowMachine
from callboard.flows.plan import Kind, Plan
from callboard.flows.restoration import Standing, resolution_of, restore
from callboard.flows.state import CLEAR, DONE


class Atom(Task):
    """Fails at the first ``fails`` tries of the controller around it."""

    def __init__(self, name: str, fails: int, undoes: bool) -> None:
        super().__init__(name)
        self.fails = fails
        self.undoes = undoes

    def execute(self) -> None: ...

    def revert(self) -> None: ...

    @property
    def reverts(self) -> bool:
        return self.undoes


class Tree:
    """A random flow, with what a simple model says of it."""

    def __init__(self, chance: random.Random, deciders: bool) -> None:
        self.chance = chance
        self.deciders = deciders
        self.count = 0
        self.flow = self.make(0)

    def make(self, depth: int) -> Flow:
        chance = self.chance
        kind = chance.choice([LinearFlow, UnorderedFlow, GraphFlow])
        retry = Times(chance.randint(1, 3), revert_all=chance.random() < 0.2) if chance.random() < 0.5 else None
        self.count += 1
        flow = kind(f"f{self.count}", retry)
        for _ in range(chance.randint(0, 4)):
            if depth < 3 and chance.random() < 0.35:
                flow.add(self.make(depth + 1))
            else:
                self.count += 1
                fails = chance.choice([0, 0, 0, 0, 0, 1, 2, 99])
                flow.add(Atom(f"a{self.count}", fails, chance.random() < 0.7))
        if isinstance(flow, GraphFlow):
            items = list(flow)
            for later in range(len(items)):
                for earlier in range(later):
                    if chance.random() < 0.4:
                        decider = (lambda history: False) if self.deciders and chance.random() < 0.3 else None
                        flow.link(items[earlier], items[later], decider, chance.choice(list(Depth)))
        return flow

    def succeeds(self, flow: Flow | None = None, attempt: int = 1) -> bool:
        """What the model says: a flow succeeds if in one of its tries all of it does."""
        flow = flow or self.flow
        tries = range(1, flow.retry.attempts + 1) if isinstance(flow.retry, Times) else (attempt,)
        return any(
            all(attempt > item.fails if isinstance(item, Atom) else self.succeeds(item, attempt) for item in flow)  # type: ignore[arg-type]
            for attempt in tries
        )


class Driver:
    """Carries out the machine's commands in a random order, and watches the rules."""

    def __init__(self, tree: Tree, chance: random.Random, interrupts: float) -> None:
        self.tree = tree
        self.chance = chance
        self.interrupts = interrupts
        self.plan = compile_flow(tree.flow)
        self.machine = FlowMachine(self.plan)
        self.machine.start()
        self.running: dict[int, bool] = {}
        self.sleeping: list[int] = []
        self.tries: dict[str, int] = {}
        self.steps = 0

    def run(self) -> FlowStatus:
        while True:
            self.steps += 1
            assert self.steps < 20_000, "the machine does not come to an end"
            if self.interrupts and self.chance.random() < self.interrupts:
                self.interrupt()
            command = self.machine.pop() if self.chance.random() < 0.7 else None
            if command is not None:
                self.carry_out(command)
            elif self.running or self.sleeping:
                self.answer()
            elif not self.machine.stirring():
                assert not self.machine.in_flight and not self.machine.held()
                return self.machine.status()
            self.note()

    def carry_out(self, command: Any) -> None:
        state, plan = self.machine.state, self.plan
        if isinstance(command, Execute):
            assert all(state[before] in DONE for before in atoms_around(plan, command.node, plan.before)), "begun too early"
            self.running[command.node] = False
        elif isinstance(command, Revert):
            assert all(state[behind] in CLEAR for behind in atoms_around(plan, command.node, plan.after)), "undone too early"
            self.running[command.node] = True
        elif isinstance(command, Decide):
            depths = [vote.depth for vote in plan.nodes[command.node].votes if not vote.decider({})]
            self.machine.decided(command.node, depths[0] if depths else None)
        elif isinstance(command, Consult):
            self.consult(command.controller)
        else:
            assert isinstance(command, Sleep) and not isinstance(command, Await)
            self.sleeping.append(command.node)

    def consult(self, controller: int) -> None:
        node = self.plan.nodes[controller]
        assert isinstance(node.task, Times)
        if self.tries[node.name] < node.task.attempts:
            self.machine.advised(controller, Verdict(Decision.RETRY, self.chance.choice([0.0, 1.0])))
        else:
            self.machine.advised(controller, Verdict(node.task.gives_up))

    def answer(self) -> None:
        """One of those under way ends, or one of those that sleep wakes."""
        choice = self.chance.choice([*self.running, *self.sleeping])
        if choice in self.sleeping:
            self.sleeping.remove(choice)
            self.machine.due(choice)
            return
        undo, node = self.running.pop(choice), self.plan.nodes[choice]
        if undo:
            self.machine.reverted(choice)
        elif node.kind is Kind.RETRY:
            self.tries[node.name] = self.tries.get(node.name, 0) + 1
            self.machine.completed(choice)
        elif self.attempt_of(choice) > node.task.fails:  # type: ignore[union-attr]
            self.machine.completed(choice)
        else:
            self.machine.failed(choice)

    def attempt_of(self, node: int) -> int:
        controller = self.plan.nodes[node].controller
        return 1 if controller < 0 else self.tries[self.plan.nodes[controller].name]

    def note(self) -> None:
        """Take note of transitions, as whoever writes them down does."""
        for node, _, new in self.machine.changes:
            if new is AtomState.REVERTED:
                self.tries.pop(self.plan.nodes[node].name, None)
        self.machine.changes.clear()

    def interrupt(self) -> None:
        """Suspend, letting what runs end; or crash, and it is lost. Then a new machine takes the run up."""
        self.note()
        if self.chance.random() < 0.5:
            self.machine.suspend()
            assert self.machine.pop() is None
            while self.running:
                self.answer()
            self.note()
        states = self.machine.state
        standings = {
            node.name: Standing(states[number], self.machine.attempts[number], states[number] is AtomState.FAILED)
            for number, node in self.plan.atoms()
        }
        resolution = resolution_of(self.machine)
        self.running, self.sleeping = {}, []
        self.plan = compile_flow(self.tree.flow)
        self.machine = FlowMachine(self.plan)
        restore(self.machine, standings, resolution)


def atoms_around(plan: Plan, node: int, edges: list[Sequence[int]]) -> set[int]:
    """The atoms right before or behind a node, with nothing but ENTER and EXIT between."""
    found, left, seen = set(), list(edges[node]), set()
    while left:
        other = left.pop()
        if other in seen:
            continue
        seen.add(other)
        if plan.nodes[other].kind <= Kind.RETRY:
            found.add(other)
        else:
            left += edges[other]
    return found


@pytest.mark.parametrize("interrupts", [0.0, 0.05, 0.3])
@given(seed=st.integers(0, 2**32))
def test_a_run_ends_as_the_model_says(interrupts: float, seed: int) -> None:
    chance = random.Random(seed)
    tree = Tree(chance, deciders=False)
    driver = Driver(tree, chance, interrupts)
    status = driver.run()
    states = {driver.machine.state[number] for number, _ in driver.plan.atoms()}
    assert status is (FlowStatus.COMPLETED if tree.succeeds() else FlowStatus.REVERTED)
    assert states <= ({AtomState.COMPLETED} if tree.succeeds() else CLEAR)


@pytest.mark.parametrize("interrupts", [0.0, 0.2])
@given(seed=st.integers(0, 2**32))
def test_with_deciders_a_run_ends_with_everything_done_or_clear(interrupts: float, seed: int) -> None:
    chance = random.Random(seed)
    driver = Driver(Tree(chance, deciders=True), chance, interrupts)
    status = driver.run()
    states = {driver.machine.state[number] for number, _ in driver.plan.atoms()}
    assert status in (FlowStatus.COMPLETED, FlowStatus.REVERTED)
    assert states <= (DONE if status is FlowStatus.COMPLETED else CLEAR)


def test_work_per_atom_does_not_grow_with_the_flow() -> None:
    """Counted in steps of the interpreter's own making, not in seconds: calls of the machine's inner functions."""
    import cProfile
    import pstats

    calls = []
    for count in (200, 2000):
        flow = LinearFlow("f").add(*(Atom(f"a{n}", 0, True) for n in range(count)))
        profile = cProfile.Profile()
        profile.enable()
        machine = FlowMachine(compile_flow(flow))
        machine.start()
        while (command := machine.pop()) is not None:
            assert isinstance(command, Execute)
            machine.completed(command.node)
        profile.disable()
        assert machine.status() is FlowStatus.COMPLETED
        calls.append(pstats.Stats(profile).total_calls / count)  # type: ignore[attr-defined]
    assert calls[1] < 1.1 * calls[0]
