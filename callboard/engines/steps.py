"""The single steps of a run: each command of the machine, and each answer to it."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from callboard.engines.job import Ending, Job
from callboard.engines.memory import remembers
from callboard.flows.compilation import compile_growth
from callboard.flows.decision import Attempt, Decision, History, Verdict
from callboard.flows.function import FunctionTask
from callboard.flows.graph import Depth
from callboard.flows.growth import Expansion
from callboard.flows.plan import Kind
from callboard.flows.reach import widest
from callboard.flows.retry import Retry
from callboard.flows.signal import WaitForSignal
from callboard.flows.signature import signature_of
from callboard.flows.state import AtomState
from callboard.flows.task import Task
from callboard.messages.errors import CallboardError, InvalidFlow, SignalTimedOut, TaskFailed
from callboard.messages.failure import Failure

if TYPE_CHECKING:
    from callboard.engines.run import FlowRun


class Steps:
    """Carries out commands for a run, in its driving thread. The user's deciders and controllers are called here."""

    def __init__(self, run: FlowRun) -> None:
        self.run = run
        self.machine = run.machine
        self.values = run.values
        self.plan = run.machine.plan
        self.grown: set[int] = set(self.plan.growth)
        self._said: dict[str, Any] = {}
        self._until: dict[int, float] = {}
        self._stand_ins: list[Job] = []

    def close(self) -> None:
        """The run is over; nothing of this is called any more."""
        del self.run

    # -- atoms ------------------------------------------------------------------------------------------

    def execute(self, number: int, attempt: int) -> Job | None:
        """Make the job of an atom; a controller is run at once, and what cannot be called fails."""
        node = self.plan.nodes[number]
        try:
            if isinstance(node.task, Retry):
                # Its flow begins anew, perhaps in this very round: what the last try left goes before the next gives anything.
                self.run.gather()
            arguments = self.values.arguments(node.call)
            if isinstance(node.task, Retry):
                self._run_controller(number, node.task, arguments)
                return None
            task = node.task
            assert isinstance(task, Task)
            if isinstance(task, FunctionTask) and task.dependencies:
                task = task.with_outputs(self._outputs_by_id(task))
            return self.run.judge.admit(self.run, Job(number, node.name, task, arguments, attempt, undo=False))
        except Exception as error:  # a controller's code is the user's, and inputs may be missing
            self.run.give_up(number, error)
            return None

    def finish(self, job: Job, output: Any) -> None:
        """An atom gave its result: keep it and whatever it made, or fail the atom for it."""
        result = output.result if isinstance(output, Expansion) else output
        try:
            if isinstance(output, Expansion):
                self._grow(job.node, output)
                self.values.put_promised(job.node, result)
            else:
                self.values.put(job.node, result)
            if self.run.recorder is not None:
                self.run.recorder.keep_result(job.node, result)
            if job.key is not None:
                self.run.judge.remembered.finish(self.run, job, output)
        except CallboardError as error:
            self.run.give_up(job.node, error)
            return
        self.values.succeed(job.node)
        self.machine.completed(job.node)

    def stand_in(self, job: Job, task: Task) -> None:
        """Let another task, such as a fallback, take an atom's place; or its own, when it may begin after all."""
        other = Job(job.node, job.name, task, job.arguments, job.attempt, undo=False)
        other.stands_in = task is not job.task
        other.key = job.key
        self.run.jobs[job.node] = other
        self._stand_ins.append(other)

    def waiting_stand_ins(self) -> bool:
        """Whether some are to be started."""
        return bool(self._stand_ins)

    def stand_ins(self) -> list[Job]:
        """Those that are to be started now."""
        jobs, self._stand_ins = self._stand_ins, []
        return jobs

    def revert(self, number: int) -> Job | None:
        """Make the job that undoes an atom; a controller is undone at once."""
        node = self.plan.nodes[number]
        assert node.revert is not None
        self.values.promote(number)
        try:
            arguments = self.values.arguments(node.revert)
            if isinstance(node.task, Retry):
                history = History(self.values.attempts.get(number, ()))
                extra = {"history": history, "flow_failures": self.values.flow_failures()}
                node.task.revert(**_accepted(node.task.revert, arguments, extra))
                self.machine.reverted(number)
                return None
            task = node.task
            assert isinstance(task, Task)
            signature = task.revert_signature()
            given = {"result": self.values.failures.get(number, self.values.results.get(number))}
            given["flow_failures"] = self.values.flow_failures()
            arguments |= {name: value for name, value in given.items() if signature.open or name in signature.names}
            return Job(number, node.name, task, arguments, self.machine.attempts[number], undo=True)
        except Exception as error:  # a controller's code is the user's
            self._revert_failed(number, error)
            return None

    def undone(self, job: Job, ending: Ending) -> None:
        """A revert has ended."""
        if ending.outcome is not None and ending.outcome.success:
            try:
                if self.run.recorder is not None and ending.outcome.output is not None:
                    self.run.recorder.keep_revert_result(job.node, ending.outcome.output)
                if remembers(job.task) and job.node not in self.values.failures:
                    self.run.judge.remembered.forget(job.task, self.values.arguments(self.plan.nodes[job.node].call))
            except CallboardError as refused:
                self._revert_failed(job.node, refused)
                return
            self.machine.reverted(job.node)
        else:
            error = ending.error or TaskFailed(ending.outcome.error or "revert failed" if ending.outcome else "revert failed")
            self._revert_failed(job.node, error, ending.failure)

    def clean(self, node: int, new: AtomState) -> None:
        """An atom was reverted, or begins anew: let go what it gave."""
        if new is AtomState.PENDING:
            self.values.forget(node)
            if node in self.grown and node not in self.plan.growth:
                self.grown.discard(node)
                if self.run.recorder is not None:
                    self.run.recorder.keep_growth(self.run.recorder.growth(node, None))
        else:
            self.values.results.pop(node, None)
            self.values.saved.pop(node, None)
            if self.plan.nodes[node].kind is Kind.RETRY:
                self.values.attempts.pop(node, None)

    # -- deciders and controllers ------------------------------------------------------------------------

    def decide(self, number: int) -> None:
        """Ask a node's own condition and the deciders of links into it."""
        node = self.plan.nodes[number]
        try:
            noes = []
            if node.condition is not None and not node.condition.function(**self.values.arguments(node.condition.call)):
                noes.append(Depth.ATOM)
            shown = [source for vote in node.votes for source in vote.sources if self._shown(source)]
            history = {self.plan.nodes[source].name: self.values.results.get(source) for source in shown}
            voting = [vote for vote in node.votes if any(map(self._shown, vote.sources))]
            # By keyword, as TaskFlow's deciders take it, where they are written so; by position otherwise.
            noes += [vote.depth for vote in voting if not _ask(vote.decider, history)]
        except Exception as error:  # deciders and conditions are the user's code
            self.run.give_up(number, error)
            return
        self.machine.decided(number, widest(noes))

    def _shown(self, source: int) -> bool:
        return self.machine.state[source] is AtomState.COMPLETED

    def consult(self, number: int, failed: int) -> None:
        """Ask a controller what to do about a failed atom."""
        node = self.plan.nodes[number]
        assert isinstance(node.task, Retry)
        self.values.blame(number, failed)
        try:
            arguments = self.values.arguments(node.on_failure)
            history = History(self.values.attempts.get(number, ()))
            verdict = _verdict(node.task.on_failure(**{**arguments, "history": history}), node.name)
        except Exception as error:  # a controller's code is the user's
            self.run.problem(node.name, error)
            verdict = Verdict(Decision.REVERT_ALL)
        self.machine.advised(number, verdict)

    def _run_controller(self, number: int, retry: Retry, arguments: dict[str, Any]) -> None:
        tries = self.values.attempts.setdefault(number, [])
        value = retry.execute(**{**arguments, "history": History(tries)})
        self.values.put(number, value)
        tries.append(Attempt(value, {}))
        if self.run.recorder is not None:
            try:
                self.run.recorder.keep_result(number, value)
            except CallboardError:
                tries.pop()
                raise
        self.machine.completed(number)

    # -- signals -------------------------------------------------------------------------------------------

    def await_signal(self, number: int) -> None:
        """Begin to wait for a signal, or take it where it was said already."""
        task = self.plan.nodes[number].task
        assert isinstance(task, WaitForSignal)
        if task.timeout is not None:
            until = self.run.opening.waits.pop(self.plan.nodes[number].name, None)
            if until is None:
                until = time.time() + task.timeout
                if self.run.recorder is not None:
                    self.run.recorder.waits_until(number, until)
            self._until[number] = until
            self.run.alarms.after(max(until - time.time(), 0.0), partial(self._expire, number, task, until))
        if task.signal in self._said:
            self._answer(number, self._said[task.signal])

    def hear(self, name: str, value: Any) -> None:
        """Somebody said something: those who wait for it go on."""
        self._said[name] = value
        for number in list(self.machine.awaiting):
            task = self.plan.nodes[number].task
            if isinstance(task, WaitForSignal) and task.signal == name:
                self._answer(number, value)

    def _answer(self, number: int, value: Any) -> None:
        try:
            self.values.put(number, value)
            if self.run.recorder is not None:
                self.run.recorder.keep_result(number, value)
        except CallboardError as error:
            self.run.give_up(number, error)
            return
        self.machine.signalled(number)

    def _expire(self, number: int, task: WaitForSignal, until: float) -> None:
        # It may have been reverted, and wait anew by now.
        if number in self.machine.awaiting and self._until[number] == until:
            self.run.give_up(number, SignalTimedOut(f"nobody sent the signal {task.signal!r} within {task.timeout} seconds"))

    # -- inside --------------------------------------------------------------------------------------------

    def _grow(self, number: int, expansion: Expansion) -> None:
        recorder = self.run.recorder
        # What cannot be stored is not begun, and what cannot be laid out is not stored.
        growth = None if recorder is None else recorder.growth(number, expansion.flow)
        compile_growth(self.plan, number, expansion.flow, self.values.inputs)
        if recorder is not None and growth is not None:
            recorder.keep_growth(growth)
        self.machine.grown(number)
        self.grown.add(number)

    def _outputs_by_id(self, task: FunctionTask) -> dict[str, Any]:
        return {task_id: self.values.results.get(self.plan.ids[task_id]) for task_id in task.dependencies}

    def _revert_failed(self, number: int, error: BaseException, failure: Failure | None = None) -> None:
        self.values.revert_failures[number] = failure or Failure.of(error)
        self.run.problem(f"revert of {self.plan.nodes[number].name}", error)
        self.machine.revert_failed(number)


def _ask(decider: Any, history: dict[str, Any]) -> Any:
    signature = signature_of(decider)
    return decider(history=history) if "history" in signature.names or signature.open else decider(history)


def _verdict(answer: Any, name: str) -> Verdict:
    verdict = answer if isinstance(answer, Verdict) else Verdict(answer)
    if not isinstance(verdict.decision, Decision):
        raise InvalidFlow(f"controller {name!r} must answer by a Decision or a Verdict, not {answer!r}")
    if isinstance(verdict.delay, bool) or not isinstance(verdict.delay, (int, float)) or not 0 <= verdict.delay < math.inf:
        raise InvalidFlow(f"the delay that controller {name!r} asks for must be a number of seconds from 0, not {verdict.delay!r}")
    return verdict


def _accepted(method: Any, arguments: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    signature = signature_of(method)
    return {**arguments, **{name: value for name, value in extra.items() if signature.open or name in signature.names}}
