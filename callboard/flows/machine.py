"""The machine that decides what runs next: outcomes in, commands out. It knows no thread, no clock and no value."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from heapq import heappop, heappush

from callboard.flows.command import Await, Command, Consult, Decide, Execute, Revert, Sleep
from callboard.flows.decision import Decision, Verdict
from callboard.flows.graph import Depth
from callboard.flows.plan import Kind, Plan
from callboard.flows.reach import reach
from callboard.flows.signal import WaitForSignal
from callboard.flows.state import ATOM_TRANSITIONS, CLEAR, DONE, AtomState, FlowStatus
from callboard.messages.status import check_transition

_S = AtomState


class FlowMachine:
    """Runs one plan. Feed it what happened; take from it, by `pop`, what is to be done, until that gives None.

    A node may run when all before it are done, and may be reverted when all behind it are clear; two counters for each
    node keep that known, so that a run costs time for nodes and edges once. ``changes`` collects every transition of
    an atom, in order, for whoever writes and tells them. Not thread-safe.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.state: list[AtomState] = []
        self.attempts: list[int] = []
        self.reverting: list[bool] = []
        self.waiting: list[int] = []
        self.blocked: list[int] = []
        self.changes: list[tuple[int, AtomState, AtomState]] = []
        self.in_flight = 0
        self.sleeping: set[int] = set()
        self.awaiting: set[int] = set()
        self.retries: dict[int, float] = {}
        self.all_reverting = False
        self.suspended = False
        self.cancelled = False
        self._revert_failures = 0
        self._ignored = False
        self._ready: list[tuple[int, int]] = []
        self._to_revert: list[tuple[int, int]] = []
        self._failures: deque[tuple[int, int]] = deque()
        self._sleeps: deque[Sleep] = deque()
        self.doomed: dict[int, set[int]] = {}
        self._decided: set[int] = set()
        self._work: deque[int] = deque()
        self.extend()

    def extend(self) -> None:
        """Take up nodes that the plan has got since."""
        known = len(self.state)
        more = len(self.plan.nodes) - known
        self.state += [_S.PENDING] * more
        self.attempts += [0] * more
        self.reverting += [False] * more
        self.waiting += [len(self.plan.before[node]) for node in range(known, known + more)]
        self.blocked += [0] * more

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
        self._arrive(0)
        self._settle()

    def resume(self, order: list[int]) -> None:
        """Go on from states and counters that were put in place; ``order`` holds all nodes, each after those before it."""
        self._ignored = _S.IGNORED in self.state
        self._revert_failures = self.state.count(_S.REVERT_FAILED)
        for node in order:
            state = self.state[node]
            if self.reverting[node] or node in self.retries:
                self._work.append(node)
            elif state is _S.FAILED:
                self._failures.append((node, self.plan.nodes[node].controller))
            elif state is _S.RETRYING:
                self._offer(node)
            elif not self.waiting[node]:
                self._arrive(node)
        self._settle()

    # -- what happened ----------------------------------------------------------------------------

    def completed(self, node: int) -> None:
        """An atom ran to its end."""
        self.in_flight -= 1
        self._set(node, _S.COMPLETED)
        if self.reverting[node]:
            self._work.append(node)
        self._settle()

    def failed(self, node: int) -> None:
        """An atom failed for good; or its inputs, its decider or its signal did, before it ran."""
        if self.plan.nodes[node].kind <= Kind.RETRY:
            if self.state[node] is _S.RUNNING:
                self.in_flight -= 1
            self.awaiting.discard(node)
            self._set(node, _S.FAILED)
        if self.reverting[node]:
            self._work.append(node)
            self._settle()
        else:
            self._failures.append((node, self.plan.nodes[node].controller))

    def again(self, node: int, delay: float) -> None:
        """An atom failed and its own policy has it run again after ``delay`` seconds; `due` says when they are over."""
        self.in_flight -= 1
        self._set(node, _S.RETRYING)
        if self.reverting[node]:
            self._work.append(node)
            self._settle()
        elif delay > 0:
            self.sleeping.add(node)
        else:
            self._offer(node)

    def due(self, node: int) -> None:
        """The delay of a node is over. Of no effect where it does not wait any more."""
        if node in self.sleeping:
            self.sleeping.discard(node)
            self._offer(node)

    def signalled(self, node: int) -> None:
        """The signal that an atom waits for has come."""
        self.awaiting.discard(node)
        self._set(node, _S.COMPLETED)
        self._settle()

    def decided(self, node: int, ignore: Depth | None) -> None:
        """The deciders of a node said yes (None), or no, so far."""
        if ignore is None:
            self._decided.add(node)
            self._arrive(node)
        else:
            self._ignore(node, ignore)
        self._settle()

    def advised(self, controller: int, verdict: Verdict) -> None:
        """A controller has decided about the failure that it was asked about."""
        node, _ = self._failures.popleft()
        if verdict.decision is Decision.RETRY:
            self._begin_retry(controller, verdict.delay)
        elif verdict.decision is Decision.REVERT:
            self._failures.appendleft((node, self.plan.nodes[controller].controller))
        else:
            self._revert_all()
        self._settle()

    def reverted(self, node: int) -> None:
        """An atom was undone."""
        self.in_flight -= 1
        self._set(node, _S.REVERTED)
        self._settle()

    def revert_failed(self, node: int) -> None:
        """An atom could not be undone; the others are, and the run ends FAILED."""
        self.in_flight -= 1
        self._revert_failures += 1
        self._set(node, _S.REVERT_FAILED)
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
        if self._sleeps:
            return self._sleeps.popleft()
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
        return bool(self._sleeps or self._failures or self._to_revert or self._ready)

    def held(self) -> bool:
        """Whether something waits for a signal or the end of a delay."""
        return bool(self.awaiting or self.sleeping)

    def _next_consult(self) -> Command | None:
        while self._failures:
            node, controller = self._failures[0]
            if controller < 0:
                self._revert_all()
                self._settle()
            else:
                return Consult(controller, node)
        return None

    def _next_revert(self) -> Command | None:
        while self._to_revert:
            node = -heappop(self._to_revert)[1]
            if self.reverting[node] and not self.blocked[node] and self.state[node] in (_S.COMPLETED, _S.FAILED, _S.RETRYING):
                self._set(node, _S.REVERTING)
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
            if (node.votes or node.condition is not None) and number not in self._decided:
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
                self._set(number, _S.WAITING)
                self.awaiting.add(number)
                return Await(number)
            self._set(number, _S.RUNNING)
            self.in_flight += 1
            return Execute(number, self.attempts[number])
        return None

    # -- inside: moving forward -------------------------------------------------------------------

    def _set(self, node: int, new: AtomState) -> None:
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
                    self._arrive(behind)

    def _mark_active(self, node: int) -> None:
        for before in self.plan.before[node]:
            self.blocked[before] += 1

    def _mark_clear(self, node: int) -> None:
        blocked = self.blocked
        for before in self.plan.before[node]:
            blocked[before] -= 1
            if not blocked[before] and (self.reverting[before] or before in self.retries):
                self._work.append(before)

    def _arrive(self, node: int) -> None:
        """All before a node are done: it runs, or is passed where there is nothing to run."""
        if self.reverting[node] or self.state[node] is not _S.PENDING:
            return
        known = self.plan.nodes[node]
        if node in self.doomed:
            self._work.append(node)
        elif known.kind <= Kind.RETRY or ((known.votes or known.condition) and node not in self._decided):
            self._offer(node)
        else:
            self._work.append(node)

    def _offer(self, node: int) -> None:
        heappush(self._ready, (-self.plan.nodes[node].priority, node))

    def _settle(self) -> None:
        """Pass all nodes that need nobody's doing, one after the other."""
        while self._work:
            node = self._work.popleft()
            if self.reverting[node]:
                if not self.blocked[node]:
                    self._undo(node)
            elif node in self.retries:
                if not self.blocked[node]:
                    self._run_again(node)
            elif self.state[node] is _S.PENDING and not self.waiting[node]:
                self._pass(node)

    def _pass(self, node: int) -> None:
        if node in self.doomed:
            self._ignored = True
            del self.doomed[node]
            self._set(node, _S.IGNORED)
        elif self.plan.nodes[node].kind > Kind.RETRY:
            self._decided.discard(node)
            self._set(node, _S.COMPLETED)

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
        self._arrive(node)

    # -- inside: moving back ----------------------------------------------------------------------

    def _revert_all(self) -> None:
        self.all_reverting = True
        self.retries.clear()
        self._turn_back(range(len(self.state)))

    def _begin_retry(self, controller: int, delay: float) -> None:
        self.retries[controller] = delay
        contents = self.contents(controller)
        for node in contents:
            self.retries.pop(node, None)
        self._turn_back(contents)
        self._work.append(controller)

    def contents(self, controller: int) -> list[int]:
        """The nodes of a controller's flow, without itself and the ENTER before it: what is reverted for another try."""
        enter = self.plan.controllers[controller]
        return [node for node in self.plan.region(enter) if node not in (controller, enter)]

    def _turn_back(self, nodes: Iterable[int]) -> None:
        for node in nodes:
            self.reverting[node] = True
            self._work.append(node)
        self._failures = deque(failure for failure in self._failures if not self.reverting[failure[0]])
        # Deciders that are reverted will be asked again.
        for node, targets in list(self.doomed.items()):
            targets.difference_update([target for target in targets if self.reverting[target]])
            if not targets:
                del self.doomed[node]

    def _undo(self, node: int) -> None:
        """Revert a node over which everything is clear, as far as that needs nobody's doing."""
        state = self.state[node]
        known = self.plan.nodes[node]
        if state in CLEAR or state is _S.RUNNING or state is _S.REVERTING:
            return
        if known.kind > Kind.RETRY or state is _S.IGNORED or state is _S.WAITING:
            self.awaiting.discard(node)
            self._set(node, _S.PENDING)
            return
        if state is _S.RETRYING:
            self.sleeping.discard(node)
            if known.kind is Kind.TASK:
                self._set(node, _S.FAILED)
        if known.revert is None or not self.attempts[node]:
            self._set(node, _S.REVERTING)
            self._set(node, _S.REVERTED)
        else:
            heappush(self._to_revert, (-known.priority, -node))

    def _run_again(self, controller: int) -> None:
        """A controller's flow is clear: make it ready for another try, unless something of it could not be undone."""
        plan, contents = self.plan, self.contents(controller)
        if any(self.state[node] is _S.REVERT_FAILED for node in contents):
            self._revert_all()
            return
        delay = self.retries.pop(controller)
        for node in contents:
            self.reverting[node] = False
            if self.state[node] is _S.REVERTED:
                self.attempts[node] = 0
                self._set(node, _S.PENDING)
            for exit in plan.prune(node):
                for behind in plan.after[exit]:
                    self.waiting[behind] -= 1
        self._set(controller, _S.RETRYING)
        if delay > 0:
            self.sleeping.add(controller)
            self._sleeps.append(Sleep(controller, delay))
        else:
            self._offer(controller)
