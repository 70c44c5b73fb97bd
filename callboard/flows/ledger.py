"""The states of a run's nodes, and the two counters that say what each of them waits for."""

from __future__ import annotations

from abc import ABC, abstractmethod

from callboard.flows.plan import Kind, Plan
from callboard.flows.state import ATOM_TRANSITIONS, CLEAR, DONE, AtomState
from callboard.messages.status import check_transition


class Ledger(ABC):
    """Keeps, for each node, how many before it are not done (``waiting``) and how many behind it are not clear (``blocked``).

    Both change with the states of neighbours alone, so that a run costs time for nodes and edges once. ``changes`` collects
    every transition of an atom, in order. ``reverting`` says what is to become of a node.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.state: list[AtomState] = []
        self.attempts: list[int] = []
        self.reverting: list[bool] = []
        self.waiting: list[int] = []
        self.blocked: list[int] = []
        self.changes: list[tuple[int, AtomState, AtomState]] = []
        self.extend()

    def extend(self) -> None:
        """Take up nodes that the plan has got since."""
        known = len(self.state)
        more = len(self.plan.nodes) - known
        self.state += [AtomState.PENDING] * more
        self.attempts += [0] * more
        self.reverting += [False] * more
        self.waiting += [len(self.plan.before[node]) for node in range(known, known + more)]
        self.blocked += [0] * more

    @abstractmethod
    def arrive(self, node: int) -> None:
        """All before a node are done."""

    @abstractmethod
    def unblock(self, node: int) -> None:
        """All behind a node are clear."""

    def set(self, node: int, new: AtomState) -> None:
        """Bring a node to a state. Raises `IllegalTransition` where its table does not allow that."""
        old = self.state[node]
        self.state[node] = new
        if self.plan.nodes[node].kind <= Kind.RETRY:
            check_transition(ATOM_TRANSITIONS, old, new, self.plan.nodes[node].name)
            self.changes.append((node, old, new))
        if (old in CLEAR) != (new in CLEAR):
            self._mark_clear(node) if new in CLEAR else self._mark_active(node)
        if old in DONE:
            if new not in DONE:
                for behind in self.plan.after[node]:
                    self.waiting[behind] += 1
        elif new in DONE:
            waiting = self.waiting
            for behind in self.plan.after[node]:
                waiting[behind] -= 1
                if not waiting[behind]:
                    self.arrive(behind)

    def _mark_active(self, node: int) -> None:
        for before in self.plan.before[node]:
            self.blocked[before] += 1

    def _mark_clear(self, node: int) -> None:
        blocked = self.blocked
        for before in self.plan.before[node]:
            blocked[before] -= 1
            if not blocked[before]:
                self.unblock(before)
