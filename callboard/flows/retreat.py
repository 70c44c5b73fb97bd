"""Moving back: what is reverted, and what is then tried again."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Iterable
from heapq import heappush

from callboard.flows.command import Sleep
from callboard.flows.ledger import Ledger
from callboard.flows.plan import Kind, Plan
from callboard.flows.state import CLEAR, AtomState

_S = AtomState


class Retreat(Ledger):
    """The half of the machine that undoes. ``work`` are nodes to be looked at, since something around them has changed.

    ``retries`` are the controllers whose flows are being reverted for another try, with the delay before it. ``doomed``
    are atoms to be ignored, by the nodes whose deciders said so.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.all_reverting = False
        self.retries: dict[int, float] = {}
        self.doomed: dict[int, set[int]] = {}
        self.sleeping: set[int] = set()
        self.awaiting: set[int] = set()
        self.work: deque[int] = deque()
        self.failures: deque[tuple[int, int]] = deque()
        self.to_revert: list[tuple[int, int]] = []
        self.sleeps: deque[Sleep] = deque()

    @abstractmethod
    def offer(self, node: int) -> None:
        """A node is ready to run."""

    def revert_all(self) -> None:
        """Have everything reverted."""
        self.all_reverting = True
        self.retries.clear()
        self._turn_back(range(len(self.state)))

    def begin_retry(self, controller: int, delay: float) -> None:
        """Have a controller's flow reverted, and tried again after ``delay`` seconds."""
        self.retries[controller] = delay
        contents = self.contents(controller)
        for node in contents:
            self.retries.pop(node, None)
        self._turn_back(contents)
        self.work.append(controller)

    def contents(self, controller: int) -> list[int]:
        """The nodes of a controller's flow, without itself and the ENTER before it: what is reverted for another try."""
        enter = self.plan.controllers[controller]
        return [node for node in self.plan.region(enter) if node not in (controller, enter)]

    def _turn_back(self, nodes: Iterable[int]) -> None:
        for node in nodes:
            self.reverting[node] = True
            self.work.append(node)
        self.failures = deque(failure for failure in self.failures if not self.reverting[failure[0]])
        # Deciders that are reverted will be asked again.
        for node, targets in list(self.doomed.items()):
            targets.difference_update([target for target in targets if self.reverting[target]])
            if not targets:
                del self.doomed[node]

    def undo(self, node: int) -> None:
        """Revert a node over which everything is clear, as far as that needs nobody's doing."""
        state = self.state[node]
        known = self.plan.nodes[node]
        if state in CLEAR or state is _S.RUNNING or state is _S.REVERTING:
            return
        if known.kind > Kind.RETRY or state is _S.IGNORED or state is _S.WAITING:
            self.awaiting.discard(node)
            self.set(node, _S.PENDING)
            return
        if state is _S.RETRYING:
            self.sleeping.discard(node)
            if known.kind is Kind.TASK:
                self.set(node, _S.FAILED)
        if known.revert is None or not self.attempts[node]:
            self.set(node, _S.REVERTING)
            self.set(node, _S.REVERTED)
        else:
            heappush(self.to_revert, (-known.priority, -node))

    def run_again(self, controller: int) -> None:
        """A controller's flow is clear: make it ready for another try, unless something of it could not be undone."""
        plan, contents = self.plan, self.contents(controller)
        if any(self.state[node] is _S.REVERT_FAILED for node in contents):
            self.revert_all()
            return
        delay = self.retries.pop(controller)
        for node in contents:
            self.reverting[node] = False
            if self.state[node] is _S.REVERTED:
                self.attempts[node] = 0
                self.set(node, _S.PENDING)
            for exit in plan.prune(node):
                for behind in plan.after[exit]:
                    self.waiting[behind] -= 1
        self.set(controller, _S.RETRYING)
        if delay > 0:
            self.sleeping.add(controller)
            self.sleeps.append(Sleep(controller, delay))
        else:
            self.offer(controller)
