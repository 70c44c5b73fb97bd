"""How far a decider's no reaches."""

from __future__ import annotations

from collections.abc import Iterable

from callboard.flows.graph import Depth
from callboard.flows.plan import Kind, Plan

_WIDTH = (Depth.ATOM, Depth.NEIGHBORS, Depth.FLOW, Depth.ALL)


def widest(depths: Iterable[Depth]) -> Depth | None:
    """The depth that reaches furthest; None where there is none."""
    return max(depths, key=_WIDTH.index, default=None)


def reach(plan: Plan, target: int, depth: Depth) -> list[int]:
    """The atoms that are ignored with ``target`` (an atom, or the ENTER of a flow that is ignored as a whole)."""
    atoms = [target]
    last = target
    if plan.nodes[target].kind is Kind.ENTER:
        atoms = [node for node in plan.region(target) if plan.nodes[node].kind <= Kind.RETRY]
        last = plan.regions[target]
    if depth is Depth.ALL:
        return atoms + _behind(plan, last)
    if depth is Depth.NEIGHBORS:
        return atoms + [node for node in plan.after[last] if plan.nodes[node].kind is Kind.TASK]
    if depth is Depth.FLOW:
        return atoms + _tasks_behind(plan, last)
    return atoms


def _behind(plan: Plan, last: int) -> list[int]:
    seen = {last}
    left = [last]
    for node in left:
        for behind in plan.after[node]:
            if behind not in seen:
                seen.add(behind)
                left.append(behind)
    return [node for node in left[1:] if plan.nodes[node].kind <= Kind.RETRY]


def _tasks_behind(plan: Plan, last: int) -> list[int]:
    enter = plan.nodes[last].enter
    seen = {last}
    left = [last]
    for node in left:
        for behind in plan.after[node]:
            known = plan.nodes[behind]
            if behind not in seen and known.kind is Kind.TASK and known.enter == enter:
                seen.add(behind)
                left.append(behind)
    return left[1:]
