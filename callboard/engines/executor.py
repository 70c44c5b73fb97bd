"""What all executors can do; they differ in where an atom runs."""

from __future__ import annotations

import asyncio
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Self

from callboard.engines.crew import Crew
from callboard.engines.judge import Judge
from callboard.engines.memory import Remembered
from callboard.engines.notifier import Callback, Filter, Notifier
from callboard.engines.opening import Opening
from callboard.engines.phase import Phase
from callboard.engines.result import FlowResult
from callboard.engines.run import FlowRun
from callboard.events import EventEmitter
from callboard.flows.declaration import checked
from callboard.flows.plan import Kind, Plan
from callboard.flows.signal import WaitForSignal
from callboard.flows.task import Task
from callboard.messages.errors import InvalidFlow, InvalidSetting, UnknownRecord
from callboard.state import StateManager


class Executor(ABC):
    """Base of executors. One may carry out many runs, one after the other or at once, from any thread.

    ``state`` (a `StateManager`, or the URL of a store) keeps what happens, so that a run can be resumed after a crash;
    without one a run lives and dies with its process. ``emitter`` is told of ``flow.*``, and of what tasks `notify`.
    What it opened or began itself is let go by `close`, or by leaving a ``with`` block; runs must have ended by then.
    """

    def __init__(self, *, state: StateManager | str | None = None, emitter: EventEmitter | None = None) -> None:
        self.state = StateManager(state) if isinstance(state, str) else state
        if self.state is not None and not isinstance(self.state, StateManager):
            raise InvalidSetting(f"state must be a StateManager, or the URL of a store such as 'sqlite:///runs.db', not {state!r}")
        if emitter is not None and not isinstance(emitter, EventEmitter):
            raise InvalidSetting(f"emitter must be an EventEmitter, not {emitter!r}")
        self._owns_state = isinstance(state, str)
        self._judge = Judge(emitter, Remembered(self.state))
        self._runs: dict[str, FlowRun] = {}
        self._lock = threading.Lock()

    @abstractmethod
    def crew(self, run: FlowRun) -> Crew:
        """Who carries out the jobs of a run."""

    def close(self) -> None:
        """Close the state where it was given as a URL."""
        if self._owns_state and self.state is not None:
            self.state.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # -- running ------------------------------------------------------------------------------------

    def execute(
        self,
        flow: Any,
        initial_inputs: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        deadline: float | None = None,
        factory: str | None = None,
        factory_args: Sequence[Any] = (),
        factory_kwargs: Mapping[str, Any] | None = None,
        book: str | None = None,
    ) -> FlowResult:
        """Run a flow or a task to its end and give the result, whatever that is.

        What is wrong with the flow itself is raised before anything runs (`InvalidFlow`, `DependencyCycle`), as is what
        the store raises. ``deadline`` is seconds for the whole; when they are over the run is CANCELLED, and what still
        runs is no longer waited for. With a ``state``: ``run_id`` names the run, ``factory`` (``"module:function"``, with
        its arguments) makes its flow again where it is resumed, ``book`` is the id of a log book.
        """
        run = self.prepare(
            flow,
            initial_inputs,
            run_id=run_id,
            deadline=deadline,
            factory=factory,
            factory_args=factory_args,
            factory_kwargs=factory_kwargs,
            book=book,
        )
        return self.drive(run)

    async def execute_async(self, flow: Any, initial_inputs: Mapping[str, Any] | None = None, **options: Any) -> FlowResult:
        """As `execute`, to be awaited; takes the same options. Cancelling the await cancels the run."""
        return await self._drive_async(self.prepare(flow, initial_inputs, **options))

    def run_iter(self, flow: Any, initial_inputs: Mapping[str, Any] | None = None, **options: Any) -> Generator[str, bool | None, None]:
        """Run a flow step by step: gives a `Phase` each time, at last the `FlowStatus`. ``send(True)`` suspends.

        A generator that is closed suspends its run and waits for what is running.
        """
        return self.iterate(self.prepare(flow, initial_inputs, **options))

    def resume(self, run_id: str, flow: Any = None, *, deadline: float | None = None) -> FlowResult:
        """Go on with a run that was suspended, or whose process ended. Finished atoms do not run again.

        ``flow`` is the same flow again; without it the run's factory makes it. A run that has ended just gives its result.
        """
        return self.drive(self.reopen(run_id, flow, deadline=deadline))

    async def resume_async(self, run_id: str, flow: Any = None, *, deadline: float | None = None) -> FlowResult:
        """As `resume`, to be awaited."""
        return await self._drive_async(self.reopen(run_id, flow, deadline=deadline))

    def prepare(
        self,
        flow: Any,
        initial_inputs: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        deadline: float | None = None,
        factory: str | None = None,
        factory_args: Sequence[Any] = (),
        factory_kwargs: Mapping[str, Any] | None = None,
        book: str | None = None,
    ) -> FlowRun:
        """Check a flow and begin its records; `drive` or `iterate` runs it."""
        recorded = {"factory": factory, "factory_args": factory_args, "factory_kwargs": factory_kwargs, "book": book}
        opening = Opening.new(flow, initial_inputs, self.state, run_id, recorded)
        return self._make(opening, deadline)

    def reopen(self, run_id: str, flow: Any = None, *, deadline: float | None = None) -> FlowRun:
        """Read a run's records, to go on with it by `drive` or `iterate`."""
        return self._make(Opening.resumed(self._need_state(), run_id, flow), deadline)

    def drive(self, run: FlowRun) -> FlowResult:
        """Carry out a prepared run in this thread."""
        with self._driving(run):
            for phase in run.phases(self.crew(run)):
                if phase is Phase.WAITING:
                    run.block()
        return run.result()

    def iterate(self, run: FlowRun) -> Generator[str, bool | None, None]:
        """Carry out a prepared run step by step, as `run_iter` does."""
        with self._driving(run):
            steps = run.phases(self.crew(run))
            for phase in steps:
                try:
                    if (yield phase):
                        run.suspend()
                except GeneratorExit:
                    run.suspend()
                    for later in steps:
                        if later is Phase.WAITING:
                            run.block()
                    raise
                if phase is Phase.WAITING:
                    run.block()

    async def _drive_async(self, run: FlowRun) -> FlowResult:
        try:
            return await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self.drive, run))
        except asyncio.CancelledError:
            run.cancel()
            raise

    # -- from outside ---------------------------------------------------------------------------------

    def suspend(self, run_id: str | None = None) -> int:
        """Suspend one run, or all that are under way here; how many there were. What runs may end, nothing new begins."""
        runs = self._under_way(run_id)
        for run in runs:
            run.suspend()
        return len(runs)

    def cancel(self, run_id: str | None = None) -> int:
        """Cancel one run, or all that are under way here; how many there were. What runs is not waited for."""
        runs = self._under_way(run_id)
        for run in runs:
            run.cancel()
        return len(runs)

    def signal(self, run_id: str, name: str, value: Any = None) -> None:
        """Say something to a run: to one under way here, or by the state to one elsewhere or suspended."""
        checked("name", name, "a signal")
        runs = self._under_way(run_id)
        if self.state is not None:
            self.state.signal(run_id, name, value)
        elif not runs:
            raise UnknownRecord("run", run_id)
        for run in runs:
            run.signal(name, value)

    @property
    def notifier(self) -> Notifier:
        """Tells of the states of flows: details are ``flow_name``, ``run_id``, ``old_state``."""
        return self._judge.notifier

    @property
    def atom_notifier(self) -> Notifier:
        """Tells of the states of atoms, of ``"progress"`` and of their own events: details are ``task_name``, ``flow_name``,
        ``run_id``, ``old_state`` and ``result``, or what the event holds."""
        return self._judge.atom_notifier

    def register(self, state: str, callback: Callback, details_filter: Filter | None = None) -> None:
        """Call ``callback(state, details)`` whenever a flow or an atom comes into ``state`` (or ``"*"``)."""
        self.notifier.register(state, callback, details_filter)
        self.atom_notifier.register(state, callback, details_filter)

    # -- inside -----------------------------------------------------------------------------------------

    def check(self, plan: Plan) -> None:
        """Raise `InvalidFlow` where this executor cannot run an atom: here, one whose code is with a worker."""
        for _, node in plan.atoms():
            task = node.task
            if node.kind is Kind.TASK and isinstance(task, Task) and not task.carries_code and not isinstance(task, WaitForSignal):
                where = f"has processor {task.processor!r}" if task.processor else "has no execute() of its own"
                raise InvalidFlow(f"task {node.name!r} {where}: only DistributedExecutor can run it")

    def _make(self, opening: Opening, deadline: float | None) -> FlowRun:
        if deadline is not None and (isinstance(deadline, bool) or not isinstance(deadline, (int, float)) or not 0 < deadline < math.inf):
            raise InvalidSetting(f"deadline must be a number of seconds above zero, not {deadline!r}; leave it out for none")
        self.check(opening.plan)
        return FlowRun(opening, self._judge, deadline)

    def _driving(self, run: FlowRun) -> _Driving:
        return _Driving(self._runs, self._lock, run)

    def _under_way(self, run_id: str | None) -> list[FlowRun]:
        with self._lock:
            return [run for run in self._runs.values() if run_id is None or run.run_id == run_id]

    def _need_state(self) -> StateManager:
        if self.state is None:
            raise InvalidSetting("resuming needs a state: give the executor one, such as state='sqlite:///runs.db'")
        return self.state


class _Driving:
    """Holds a run among those under way, while it is."""

    def __init__(self, runs: dict[str, FlowRun], lock: threading.Lock, run: FlowRun) -> None:
        self._runs, self._lock, self._run = runs, lock, run

    def __enter__(self) -> None:
        with self._lock:
            if self._run.run_id in self._runs:
                raise InvalidSetting(f"run {self._run.run_id!r} is under way here already")
            if self._run.driven:
                raise InvalidSetting(f"run {self._run.run_id!r} was carried out, as far as that went; resume or reopen it to go on")
            self._run.driven = True
            self._runs[self._run.run_id] = self._run

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            del self._runs[self._run.run_id]
