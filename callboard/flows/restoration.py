"""Taking up a run where its records say that it stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from callboard.flows.machine import FlowMachine
from callboard.flows.plan import Kind
from callboard.flows.state import CLEAR, DONE, AtomState

_S = AtomState


class Standing(NamedTuple):
    """How an atom stood when its run stopped. ``failed``: a failure of its own is on record."""

    state: AtomState
    attempts: int = 0
    failed: bool = False


class Resolution(NamedTuple):
    """What was decided and is under way: everything is reverted, or the flows of some controllers, to be tried again after
    a delay; and which atoms are to be ignored, by the atoms or flows (as numbers) whose deciders said so."""

    everything: bool = False
    retries: Mapping[str, float] = {}
    doomed: Mapping[str, Sequence[int]] = {}


def resolution_of(machine: FlowMachine) -> Resolution:
    """What the machine is doing about failures now."""
    nodes = machine.plan.nodes
    return Resolution(
        machine.all_reverting,
        {nodes[node].name: delay for node, delay in machine.retries.items()},
        {nodes[node].name: sorted(targets) for node, targets in machine.doomed.items()},
    )


def restore(machine: FlowMachine, standings: Mapping[str, Standing], resolution: Resolution) -> None:
    """Bring a fresh machine to where a run stopped, in place of ``start``.

    What was running runs again, what was being reverted is reverted again, what had failed is looked at again. Atoms of
    the plan that have no standing are new and run; standings without an atom are left alone.
    """
    for number, node in machine.plan.atoms():
        standing = standings.get(node.name)
        if standing is not None:
            machine.attempts[number] = standing.attempts
            machine.state[number] = _resumed(standing, node.kind)
    for name, delay in resolution.retries.items():
        if name in machine.plan.index:
            machine.retries[machine.plan.index[name]] = delay
    for name, targets in resolution.doomed.items():
        if name in machine.plan.index:
            machine.doomed[machine.plan.index[name]] = set(targets)
    order = machine.plan.order()
    _mark_reverting(machine, resolution)
    _pass_forward(machine, order)
    for place in range(len(machine.state)):
        machine.waiting[place] = sum(machine.state[before] not in DONE for before in machine.plan.before[place])
        machine.blocked[place] = sum(machine.state[behind] not in CLEAR for behind in machine.plan.after[place])
    machine.resume(order)


def _resumed(standing: Standing, kind: Kind) -> AtomState:
    if standing.state is _S.REVERTING:
        return _S.FAILED if standing.failed else _S.COMPLETED
    if standing.state in (_S.RUNNING, _S.WAITING) or (standing.state is _S.RETRYING and kind is Kind.TASK):
        return _S.PENDING
    return standing.state


def _mark_reverting(machine: FlowMachine, resolution: Resolution) -> None:
    machine.all_reverting = resolution.everything
    if resolution.everything:
        machine.reverting = [True] * len(machine.reverting)
    for controller in machine.retries:
        for place in machine.contents(controller):
            machine.reverting[place] = True


def _pass_forward(machine: FlowMachine, order: list[int]) -> None:
    """ENTER and EXIT have no records: where things go forward they are passed when all before them is done, and where
    things are reverted they stay passed while anything behind them is not clear."""
    plan, state = machine.plan, machine.state
    passive = [node for node in order if plan.nodes[node].kind > Kind.RETRY]
    for node in passive:
        done = not machine.reverting[node] and all(state[before] in DONE for before in plan.before[node])
        if done and not _is_to_be_decided(machine, node):
            state[node] = _S.COMPLETED
    for node in reversed(passive):
        if machine.reverting[node] and any(state[behind] not in CLEAR for behind in plan.after[node]):
            state[node] = _S.COMPLETED


def _is_to_be_decided(machine: FlowMachine, node: int) -> bool:
    """Whether deciders have still to be asked about a flow: nothing in it has begun, and nothing is ignored for its sake."""
    nodes = machine.plan.nodes
    if not nodes[node].votes and nodes[node].condition is None:
        return False
    atoms = (inside for inside in machine.plan.region(node) if nodes[inside].kind <= Kind.RETRY)
    return all(machine.state[atom] is _S.PENDING and node not in machine.doomed.get(atom, ()) for atom in atoms)
