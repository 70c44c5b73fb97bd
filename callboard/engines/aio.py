"""Atoms as asyncio tasks."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from callboard.engines.crew import Crew
from callboard.engines.executor import Executor
from callboard.engines.job import Job
from callboard.engines.perform import perform_async
from callboard.engines.phase import Phase
from callboard.engines.result import FlowResult
from callboard.engines.run import FlowRun
from callboard.engines.threads import ThreadCrew
from callboard.flows.function import FunctionTask
from callboard.messages.errors import InvalidSetting


class AsyncExecutor(Executor):
    """Runs async atoms in the event loop, as many at once as are ready, or ``max_concurrency``; plain ones in threads.

    In a running loop use ``await executor.execute_async(flow)``; without one `execute` makes a loop of its own.
    Cancelling the await cancels the run and its atoms. ``max_workers`` bounds the threads for plain ``execute``.
    """

    def __init__(self, max_concurrency: int = 1000, max_workers: int = 32, **options: Any) -> None:
        super().__init__(**options)
        for name, value in (("max_concurrency", max_concurrency), ("max_workers", max_workers)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidSetting(f"{name} must be a whole number from 1, not {value!r}")
        self.max_concurrency = max_concurrency
        self.max_workers = max_workers

    def crew(self, run: FlowRun) -> Crew:
        """The running loop, with threads for what is not async."""
        return _Loop(run, self.max_concurrency, self.max_workers)

    def drive(self, run: FlowRun) -> FlowResult:
        """Carry out a prepared run in a loop of its own."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            # In a loop of our own nothing but Ctrl-C cancels. That ends the run as a crash would, as with every executor.
            return asyncio.run(self._drive_async(run, cancels=False))
        _refuse("execute or resume", "await executor.execute_async(...) or resume_async(...)")

    def iterate(self, run: FlowRun) -> NoReturn:
        """Not here: a step of it would block the loop."""
        _refuse("run_iter", "SyncExecutor or ParallelExecutor")

    async def _drive_async(self, run: FlowRun, *, cancels: bool = True) -> FlowResult:
        happened = asyncio.Event()
        loop, thread = asyncio.get_running_loop(), threading.get_ident()

        def wake() -> None:
            if threading.get_ident() == thread:
                happened.set()
            else:
                loop.call_soon_threadsafe(happened.set)

        run.inbox.wake = wake
        with self._driving(run):
            steps = run.phases(self.crew(run))
            try:
                for phase in steps:
                    if phase is Phase.WAITING and run.must_wait():
                        await _wait(happened, run.patience())
                    happened.clear()
            except asyncio.CancelledError:
                if cancels:
                    run.cancel()
                    for _ in steps:  # the rest of a cancelled run waits for nothing
                        pass
                steps.close()
                raise
            finally:
                run.inbox.wake = None
        return run.result()


async def _wait(happened: asyncio.Event, patience: float | None) -> None:
    try:
        async with asyncio.timeout(patience):
            await happened.wait()
    except TimeoutError:
        pass


def _refuse(what: str, instead: str) -> NoReturn:
    raise InvalidSetting(f"AsyncExecutor.{what} cannot be called in a running event loop; use {instead}")


class _Loop:
    judges = False

    def __init__(self, run: FlowRun, size: int, threads: int) -> None:
        self._run = run
        self._size = size
        self._tasks: dict[Job, asyncio.Task[None]] = {}
        self._plain = ThreadCrew(run, threads)

    def room(self) -> int:
        return self._size - len(self._run.jobs)

    def start(self, job: Job) -> None:
        if _is_async(job):
            self._tasks[job] = asyncio.get_running_loop().create_task(self._perform(job), name=job.name)
        else:
            self._plain.start(job)

    def drop(self, job: Job) -> None:
        task = self._tasks.pop(job, None)
        if task is None:
            self._plain.drop(job)
        else:
            task.cancel()

    def close(self, left: Iterable[Job]) -> None:
        for job in left:
            if job in self._tasks:
                self._tasks.pop(job).cancel()
        self._plain.close(left)

    async def _perform(self, job: Job) -> None:
        ending = await perform_async(job, self._run.tell)
        self._tasks.pop(job, None)
        self._run.done(job, ending)


def _is_async(job: Job) -> bool:
    method: Callable[..., Any] | Mapping[str, Any] = job.task.revert if job.undo else job.task.execute
    if isinstance(job.task, FunctionTask):
        function = job.task.revert_function if job.undo else job.task.function
        return inspect.iscoroutinefunction(function)
    return inspect.iscoroutinefunction(method)
