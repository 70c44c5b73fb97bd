"""The caller's end of a submitted task: a standard future that can also be awaited, and that costs little until it is.

A stock future makes a lock and a condition at birth, which is most of its cost. Here they are made when somebody
blocks. One module lock stands in until then: it is held by who delivers, once a batch, and by who is about to make a
condition, once a handle.
"""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
import functools
import threading
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures._base import CANCELLED_AND_NOTIFIED, FINISHED, PENDING
from typing import TYPE_CHECKING, Any, Protocol

from callboard.messages.codec import Packed, load
from callboard.messages.failure import Failure
from callboard.messages.result import TaskResult, draw_up
from callboard.messages.status import TaskStatus

if TYPE_CHECKING:
    from callboard.actors.client import Client

Told = tuple[Packed | None, str | None, Failure | None, str | None, int, int]
"""Output, error, failure, the worker's name, attempts, microseconds. A tuple of nothing but texts and numbers, as it mostly
is, is let be by the collector, which has to walk through all else that is kept for long."""

_gate = threading.Lock()
_allocate_lock = _thread.allocate_lock


class Outcome(Protocol):
    """How a task ended, as who delivers it holds it."""

    @property
    def task_id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def status(self) -> TaskStatus: ...

    @property
    def output(self) -> Packed | None: ...

    @property
    def error(self) -> str | None: ...

    @property
    def failure(self) -> Failure | None: ...

    @property
    def worker_name(self) -> str | None: ...

    @property
    def attempts(self) -> int: ...

    @property
    def micros(self) -> int: ...


class TaskHandle(concurrent.futures.Future[Any]):
    """A submitted task. `result` and ``await`` give a `TaskResult` and never raise for a task that failed or was cancelled.

    Thread-safe. Cancelling an await leaves the task alone.
    """

    # What few handles ever need is a default of the class. What is set in time is set at birth: attributes that come later
    # than that would cost each handle a dictionary of its own.
    _exception = None
    _made_condition: threading.Condition | None = None
    _made_waiters: list[Any] | None = None

    def __init__(self, client: Client, task_id: str, name: str) -> None:
        self._client = client
        self.task_id = task_id
        self.name = name
        self._state = PENDING
        self._status: TaskStatus | None = None
        self._told: Told | None = None
        self._result: Any = None
        self._callbacks: list[Callable[[Any], object]] | None = None
        self._sleepers: list[_thread.LockType] | None = None
        self._loop_futures: list[asyncio.Future[Any]] | None = None

    # -- what a person asks -----------------------------------------------------------------

    @property
    def status(self) -> TaskStatus:
        """Where the task stands; asks the manager while it has not ended."""
        return self._status or self._client.status(self.task_id)

    def result(self, timeout: float | None = None) -> TaskResult:
        """Wait for the task to end, at most ``timeout`` seconds, and return how it did; TimeoutError when it has not."""
        if self._status is None:
            self._block(timeout)
        return self._task_result()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait likewise; always None, since the `TaskResult` tells of a failure."""
        if self._status is None:
            self._block(timeout)
        return None

    def cancel(self, force: bool = False) -> bool:
        """Cancel the task; False when it has ended already.

        One that waits ends at once. One that runs is told (``request.cancelled``; an async one is cancelled) and ends
        when it stops. ``force`` ends the process that runs a plain function which does not stop by itself.
        """
        if self._status is not None:
            return False
        return self._client.cancel(self.task_id, force)

    def cancelled(self) -> bool:
        """Whether the task ended cancelled."""
        return self._state == CANCELLED_AND_NOTIFIED

    def running(self) -> bool:
        """Whether the task is being executed."""
        return self._status is None and self.status is TaskStatus.RUNNING

    def done(self) -> bool:
        """Whether the task has ended."""
        return self._status is not None

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Call ``fn(handle)`` when the task has ended: in a thread kept for callbacks, or at once if it has."""
        if getattr(fn, "__module__", None) == "asyncio.futures" and self._status is None:
            fn = self._client.chained(fn)  # by wrap_future, so that it is going to be awaited
        self._be_told()
        with _gate:
            if self._status is None:
                if self._callbacks is None:
                    self._callbacks = []
                self._callbacks.append(fn)
                return
        self._call(fn)

    def __await__(self) -> Generator[Any, None, TaskResult]:
        if self._status is None:
            self._be_told()
            loop = asyncio.get_running_loop()
            waiter = loop.create_future()
            with _gate:
                if self._status is None:
                    if self._loop_futures is None:
                        self._loop_futures = []
                    self._loop_futures.append(waiter)
                else:
                    waiter.set_result(None)
            blocking = self._client.blocking
            if blocking is None:
                yield from waiter
            else:
                with blocking():
                    yield from waiter
        return self._task_result()

    def __repr__(self) -> str:
        state = self._status.value if self._status is not None else "open"
        return f"<{type(self).__name__} {self.name!r} {self.task_id} {state}>"

    def __reduce__(self) -> Any:
        raise TypeError(f"a {type(self).__name__} stays in the process that submitted the task; pass the Task itself, or its output")

    # -- what the standard library reaches for --------------------------------------------------

    if not TYPE_CHECKING:  # a checker sees the attributes of the base, for which they stand

        @property
        def _condition(self) -> threading.Condition:
            made = self._made_condition
            if made is None:
                with _gate:
                    made = self._made_condition
                    if made is None:
                        made = self._made_condition = threading.Condition()
            return made

        @property
        def _waiters(self) -> list[Any]:
            if self._made_waiters is None:
                self._be_told()
                self._made_waiters = self._client.waiters()
            return self._made_waiters

    def set_running_or_notify_cancel(self) -> bool:
        """Not for handles: the manager decides."""
        raise RuntimeError("a handle is finished by the manager alone")

    def set_result(self, result: Any) -> None:
        """Not for handles: the manager decides."""
        raise RuntimeError("a handle is finished by the manager alone")

    def set_exception(self, exception: BaseException | None) -> None:
        """Not for handles: the manager decides."""
        raise RuntimeError("a handle is finished by the manager alone")

    # -- inside -------------------------------------------------------------------------------

    def _block(self, timeout: float | None) -> None:
        lead = self._client.lead
        if lead is not None:
            begun = time.monotonic()
            lead.wait(self, timeout)
            if self._status is not None:
                return
            if timeout is not None:
                timeout -= time.monotonic() - begun
        # A bare lock and no condition: the sooner this thread sleeps, the sooner the one that delivers has the interpreter.
        lock = _allocate_lock()
        lock.acquire()
        with _gate:
            if self._status is not None:
                return
            if self._sleepers is None:
                self._sleepers = []
            self._sleepers.append(lock)
        blocking = self._client.blocking
        if blocking is None:
            woken = lock.acquire(True, -1 if timeout is None else max(0.0, timeout))
        else:
            with blocking():
                woken = lock.acquire(True, -1 if timeout is None else max(0.0, timeout))
        if not woken and self._status is None:
            raise concurrent.futures.TimeoutError(f"task {self.name!r} has not ended within {timeout:.4g} s")

    def _be_told(self) -> None:
        # In the thread that delivers, while the calling thread does not wait by `_block`.
        lead = self._client.lead
        if lead is not None:
            lead.attend()

    def _task_result(self) -> TaskResult:
        told = self._told
        if self._result is None and told is not None:  # if another thread was quicker, it has left the result
            assert self._status is not None
            self._result = build_result(self.task_id, self.name, self._status, told)
            self._told = None
        return self._result  # type: ignore[no-any-return]

    def _call(self, fn: Callable[[Any], object]) -> None:
        try:
            fn(self)
        except Exception:  # the user's code
            concurrent.futures._base.LOGGER.exception("exception calling callback for %r", self)

    def _tell(self, waiter: Any) -> None:
        waiter.add_cancelled(self) if self.cancelled() else waiter.add_result(self)

    def _settle(self, outcome: Outcome) -> None:
        self._told = told_by(outcome)
        self._state = CANCELLED_AND_NOTIFIED if outcome.status is TaskStatus.CANCELLED else FINISHED
        self._status = outcome.status  # last: by it others see that the rest is there


def told_by(outcome: Outcome) -> Told:
    """What a handle keeps of an outcome. The outcome itself may be the manager's whole record of the task, which is let go."""
    error = outcome.error
    return outcome.output, error, None if error is None else outcome.failure, outcome.worker_name, outcome.attempts, outcome.micros


def result_of(outcome: Outcome) -> TaskResult:
    """What a caller gets for an outcome to which there is no handle."""
    return build_result(outcome.task_id, outcome.name, outcome.status, told_by(outcome))


def build_result(task_id: str, name: str, status: TaskStatus, told: Told) -> TaskResult:
    """What the caller gets for an outcome; an output that cannot be loaded here is a failure that says so."""
    packed, error, failure, worker, attempts, micros = told
    output = None
    if packed is not None:
        try:
            output = load(packed)
        except (Exception, SystemExit) as problem:  # whatever a user's __setstate__ raises
            status, failure = TaskStatus.FAILED, Failure.of(problem)
            error = f"the output cannot be loaded here: {failure}"
    return draw_up(task_id, name, status, output, error, failure, worker, attempts, micros / 1e6)


def settle_all(pairs: Iterable[tuple[TaskHandle, Outcome]]) -> list[Callable[[], object]]:
    """Finish many handles: one turn of the lock, one wake-up of each event loop. Returns the callbacks to be called."""
    guarded: list[tuple[TaskHandle, Outcome]] = []
    told: list[TaskHandle] = []
    calls: list[Callable[[], object]] = []
    loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[Any]]] = {}
    with _gate:
        for handle, outcome in pairs:
            if handle._made_condition is not None:
                guarded.append((handle, outcome))
                continue
            handle._settle(outcome)
            if handle._sleepers is not None or handle._callbacks is not None or handle._loop_futures is not None:
                told.append(handle)
    # Outside the gate: who holds a handle's condition may be about to pass the gate for the next one's.
    for handle, outcome in guarded:
        with handle._condition:
            with _gate:
                handle._settle(outcome)
            for waiter in handle._waiters:
                handle._tell(waiter)
            handle._condition.notify_all()
        told.append(handle)
    for handle in told:
        for future in handle._loop_futures or ():
            loops.setdefault(future.get_loop(), []).append(future)
        handle._loop_futures = None
        for lock in handle._sleepers or ():
            lock.release()
        handle._sleepers = None
        callbacks, handle._callbacks = handle._callbacks, None
        calls += [functools.partial(handle._call, fn) for fn in callbacks or ()]
    for loop, futures in loops.items():
        try:
            loop.call_soon_threadsafe(_wake_futures, futures)
        except RuntimeError:
            pass  # the loop is closed, and nobody awaits there any more
    return calls


def _wake_futures(futures: list[asyncio.Future[Any]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
