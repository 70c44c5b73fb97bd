"""The machine that decides what runs next: outcomes in, commands out. It knows no thread, no clock and no value."""

from __future__ import annotations

from heapq import heappop, heappush

from callboard.flows.command import Await, Command, Consult, Decide, Execute, Revert
from callboard.flows.decision import Decision, Verdict
from callboard.flows.graph import Depth
from callboard.flows.plan import Kind, Plan
from callboard.flows.reach import reach
from callboard.flows.retreat import Retreat
from callboard.flows.signal import WaitForSignal
from callboard.flows.state import AtomState, FlowStatus

_S = AtomState


class FlowMachine(Retreat):
    """Runs one plan. Feed it what happened; take from it, by `pop`, what is to be done, until that gives None.

    A node may run when all before it are done, and may be reverted when all behind it are clear. Not thread-safe.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.in_flight = 0
        self.suspended = False
        self.cancelled = False
        self._revert_failures = 0
        self._ignored = False
        self._ready: list[tuple[int, int]] = []
        self._decided: set[int] = set()

    def grown(self, node: int) -> None:
        """Take up what an atom made, before it is told to have completed."""
        known = len(self.state)
        self.extend()
        for enter in self.plan.growth[node]:
            if enter >= known:
                for new in self.plan.region(enter):
                    self.reverting[new] = self.reverting[node]
                for behind in self.plan.after[self.plan.regions[enter]]:
                    self.waiting[behind] += 1

    def start(self) -> None:
        """Begin a run of which nothing has happened yet."""
        self.arrive(0)
        self._settle()

    def resume(self, order: list[int]) -> None:
        """Go on from states and counters that were put in place; ``order`` holds all nodes, each after those before it."""
        self._ignored = _S.IGNORED in self.state
        self._revert_failures = self.state.count(_S.REVERT_FAILED)
        for node in order:
            state = self.state[node]
            if self.reverting[node] or node in self.retries:
                self.work.append(node)
            elif state is _S.FAILED:
                self.failures.append((node, self.plan.nodes[node].controller))
            elif state is _S.RETRYING:
                self.offer(node)
            elif not self.waiting[node]:
                self.arrive(node)
        self._settle()

    # -- what happened ----------------------------------------------------------------------------

    def completed(self, node: int) -> None:
        """An atom ran to its end."""
        self.in_flight -= 1
        self.set(node, _S.COMPLETED)
        if self.reverting[node]:
            self.work.append(node)
        self._settle()

    def failed(self, node: int) -> None:
        """An atom failed for good; or its inputs, its decider or its signal did, before it ran."""
        if self.plan.nodes[node].kind <= Kind.RETRY:
            if self.state[node] is _S.RUNNING:
                self.in_flight -= 1
            self.awaiting.discard(node)
            self.set(node, _S.FAILED)
        if self.reverting[node]:
            self.work.append(node)
            self._settle()
        else:
            self.failures.append((node, self.plan.nodes[node].controller))

    def again(self, node: int, delay: float) -> None:
        """An atom failed and its own policy has it run again after ``delay`` seconds; `due` says when they are over."""
        self.in_flight -= 1
        self.set(node, _S.RETRYING)
        if self.reverting[node]:
            self.work.append(node)
            self._settle()
        elif delay > 0:
            self.sleeping.add(node)
        else:
            self.offer(node)

    def due(self, node: int) -> None:
        """The delay of a node is over. Of no effect where it does not wait any more."""
        if node in self.sleeping:
            self.sleeping.discard(node)
            self.offer(node)

    def signalled(self, node: int) -> None:
        """The signal that an atom waits for has come."""
        self.awaiting.discard(node)
        self.set(node, _S.COMPLETED)
        self._settle()

    def decided(self, node: int, ignore: Depth | None) -> None:
        """The deciders of a node said yes (None), or no, so far."""
        if ignore is None:
            self._decided.add(node)
            self.arrive(node)
        else:
            self._ignore(node, ignore)
        self._settle()

    def advised(self, controller: int, verdict: Verdict) -> None:
        """A controller has decided about the failure that it was asked about."""
        node, _ = self.failures.popleft()
        if verdict.decision is Decision.RETRY:
            self.begin_retry(controller, verdict.delay)
        elif verdict.decision is Decision.REVERT:
            self.failures.appendleft((node, self.plan.nodes[controller].controller))
        else:
            self.revert_all()
        self._settle()

    def reverted(self, node: int) -> None:
        """An atom was undone."""
        self.in_flight -= 1
        self.set(node, _S.REVERTED)
        self._settle()

    def revert_failed(self, node: int) -> None:
        """An atom could not be undone; the others are, and the run ends FAILED."""
        self.in_flight -= 1
        self._revert_failures += 1
        self.set(node, _S.REVERT_FAILED)
        self._settle()

    def suspend(self) -> None:
        """Begin nothing new; what runs may end."""
        self.suspended = True

    def cancel(self) -> None:
        """Begin nothing new, and never again."""
        self.cancelled = True

    # -- what is to be done -----------------------------------------------------------------------

    def pop(self) -> Command | None:
        """The next command; None while there is nothing to begin. Reverts come before what runs forward."""
        if self.suspended or self.cancelled:
            return None
        if self.sleeps:
            return self.sleeps.popleft()
        return self._next_consult() or self._next_revert() or self._next_ready()

    def status(self) -> FlowStatus:
        """How the run stands."""
        if self.cancelled:
            return FlowStatus.CANCELLED
        if self.reverting[0] and self.state[0] is _S.PENDING:
            return FlowStatus.FAILED if self._revert_failures else FlowStatus.REVERTED
        if self.state[self.plan.root_exit] is _S.COMPLETED and not self.reverting[0]:
            return FlowStatus.COMPLETED
        return FlowStatus.SUSPENDED if self.suspended and not self.in_flight else FlowStatus.RUNNING

    def stirring(self) -> bool:
        """Whether there may be something to begin."""
        if self.suspended or self.cancelled:
            return False
        return bool(self.sleeps or self.failures or self.to_revert or self._ready)

    def held(self) -> bool:
        """Whether something waits for a signal or the end of a delay."""
        return bool(self.awaiting or self.sleeping)

    def _next_consult(self) -> Command | None:
        while self.failures:
            node, controller = self.failures[0]
            if controller < 0:
                self.revert_all()
                self._settle()
            else:
                return Consult(controller, node)
        return None

    def _next_revert(self) -> Command | None:
        while self.to_revert:
            node = -heappop(self.to_revert)[1]
            if self.reverting[node] and not self.blocked[node] and self.state[node] in (_S.COMPLETED, _S.FAILED, _S.RETRYING):
                self.set(node, _S.REVERTING)
                self.in_flight += 1
                return Revert(node)
        return None

    def _next_ready(self) -> Command | None:
        plan = self.plan
        while self._ready:
            number = heappop(self._ready)[1]
            state = self.state[number]
            if self.waiting[number] or self.reverting[number] or number in self.sleeping or state not in (_S.PENDING, _S.RETRYING):
                continue
            node = plan.nodes[number]
            if state is _S.PENDING and (node.votes or node.condition is not None) and number not in self._decided:
                return Decide(number)
            if number in self.doomed:
                continue
            if self._ignored and self._lacks_provider(number):
                self._ignore(number, Depth.ATOM)
                self._settle()
                continue
            self._decided.discard(number)
            self.attempts[number] += 1
            if isinstance(node.task, WaitForSignal):
                self.set(number, _S.WAITING)
                self.awaiting.add(number)
                return Await(number)
            self.set(number, _S.RUNNING)
            self.in_flight += 1
            return Execute(number, self.attempts[number])
        return None

    # -- inside: moving forward -------------------------------------------------------------------

    def arrive(self, node: int) -> None:
        """All before a node are done: it runs, or is passed where there is nothing to run."""
        if self.reverting[node] or self.state[node] is not _S.PENDING:
            return
        known = self.plan.nodes[node]
        if node in self.doomed:
            self.work.append(node)
        elif known.kind <= Kind.RETRY or ((known.votes or known.condition) and node not in self._decided):
            self.offer(node)
        else:
            self.work.append(node)

    def unblock(self, node: int) -> None:
        """All behind a node are clear: it may be reverted, or tried again, if that is wanted."""
        if self.reverting[node] or node in self.retries:
            self.work.append(node)

    def offer(self, node: int) -> None:
        """A node is ready to run, by its priority and then by its place in the flow."""
        heappush(self._ready, (-self.plan.nodes[node].priority, node))

    def _settle(self) -> None:
        """Pass all nodes that need nobody's doing, one after the other."""
        while self.work:
            node = self.work.popleft()
            if self.reverting[node]:
                if not self.blocked[node]:
                    self.undo(node)
            elif node in self.retries:
                if not self.blocked[node]:
                    self.run_again(node)
            elif self.state[node] is _S.PENDING and not self.waiting[node]:
                self._pass(node)

    def _pass(self, node: int) -> None:
        if node in self.doomed:
            self._ignored = True
            del self.doomed[node]
            self.set(node, _S.IGNORED)
        elif self.plan.nodes[node].kind > Kind.RETRY:
            self._decided.discard(node)
            self.set(node, _S.COMPLETED)

    def _lacks_provider(self, node: int) -> bool:
        """Whether a required input would have come from atoms that were all ignored, and nothing else gives it."""
        for need in self.plan.nodes[node].call.needs:
            if need.required and need.sources and not need.given and all(self.state[by.node] is _S.IGNORED for by in need.providers()):
                return True
        return False

    def _ignore(self, node: int, depth: Depth) -> None:
        """Have a node ignored, and what is behind it as far as ``depth`` reaches: each when all before it are done."""
        for other in reach(self.plan, node, depth):
            self.doomed.setdefault(other, set()).add(node)
        if self.plan.nodes[node].kind > Kind.RETRY:
            self._decided.add(node)
        self.arrive(node)
