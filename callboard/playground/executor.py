"""The standard library's executor interface over a playground."""

from __future__ import annotations

import concurrent.futures
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ParamSpec, TypeVar

from callboard.actors.client import Client
from callboard.actors.handle import TaskHandle, Told, build_result
from callboard.flows.function import Call, call_of
from callboard.messages.code import lasts
from callboard.messages.codec import load
from callboard.messages.errors import CallboardError
from callboard.messages.result import TaskResult
from callboard.messages.status import TaskStatus
from callboard.messages.task import fresh_id

P = ParamSpec("P")
R = TypeVar("R")


_SHUT = "cannot schedule new futures after shutdown"


class ExecutorFuture(TaskHandle):
    """A handle whose `result` is the raw output, and raises what the function raised, as any executor's future does."""

    _ending: TaskResult | None = None  # of the few that did not complete

    def result(self, timeout: float | None = None) -> Any:
        """The output; raises the original exception, `CancelledError`, or TimeoutError after ``timeout`` seconds."""
        ending = self._unless_completed(timeout)
        if ending is not None:
            raise _error(ending)
        return self._result

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the function raised, None when it did not; raises `CancelledError` or TimeoutError."""
        ending = self._unless_completed(timeout)
        if ending is None:
            return None
        error = _error(ending)
        if isinstance(error, concurrent.futures.CancelledError):
            raise error
        return error

    def _unless_completed(self, timeout: float | None) -> TaskResult | None:
        """Wait for the end; returns how the task ended if it did not complete, else the output is there."""
        if self._status is None:
            self._block(timeout)
        told = self._told
        if told is not None:
            self._load(told)
        return self._ending

    def _load(self, told: Told) -> None:
        assert self._status is not None
        if self._status is TaskStatus.COMPLETED and type(told[0]) is bytes:
            try:
                self._result = load(told[0])
            except Exception:  # whatever a user's __setstate__ raises; told of below
                pass
            else:
                self._told = None
                return
        ending = build_result(self.task_id, self.name, self._status, told)
        if ending.status is TaskStatus.COMPLETED:
            self._result = ending.output
        else:
            self._ending = ending
        self._told = None  # last: by it other threads see that the rest is there

    def _task_result(self) -> Any:
        return self.result()

    def _tell(self, waiter: Any) -> None:
        if self._status is not TaskStatus.COMPLETED and self._status is not TaskStatus.CANCELLED:
            waiter.add_exception(self)  # who waits for the first exception waits for this
        else:
            super()._tell(waiter)


class RemoteTraceback(CallboardError):
    """The traceback on the worker, as the cause of the exception that is raised here."""

    def __str__(self) -> str:
        return "\n" + str(self.args[0])


def _error(result: TaskResult) -> BaseException:
    if result.status is TaskStatus.CANCELLED:
        return concurrent.futures.CancelledError()
    error = result.failure.exception() if result.failure is not None else None
    if error is None:
        return result.as_error()
    if result.failure is not None and result.worker is not None:
        error.__cause__ = RemoteTraceback(f"on worker {result.worker!r}:\n{result.failure.traceback}")
    return error


def _first_result(futures: deque[ExecutorFuture], until: float | None) -> Any:
    """The result of the first, which is taken out once it has one. What `map` yields it holds itself no longer."""
    result = futures[0].result(None if until is None else until - time.monotonic())
    futures.popleft()
    return result


class PlaygroundExecutor(concurrent.futures.Executor):
    """Runs functions on a playground's plain workers. `shutdown` ends the executor, not the playground."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._shut = False

    def __reduce__(self) -> Any:
        raise TypeError("an executor stays in its process; code on a worker submits tasks by ProcessRequest.current().submit")

    @property
    def is_shut(self) -> bool:
        """Whether `shutdown` was called."""
        return self._shut

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> concurrent.futures.Future[R]:
        """Run ``fn(*args, **kwargs)`` on a worker. RuntimeError after `shutdown`."""
        if self._shut:
            raise RuntimeError(_SHUT)
        return self._client.submit_made(call_of(fn).submission(fresh_id(), args, kwargs), ExecutorFuture)

    def map(
        self,
        fn: Callable[..., R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[R]:
        """Run ``fn`` on what the iterables give, and give the results in that order, as the standard library's executors do.

        All is submitted at once, or ``buffersize`` calls ahead of who reads. What is left is cancelled when one fails, when a
        result is not there ``timeout`` seconds after the call of `map`, and when the iterator is closed. Tasks travel in
        batches whatever ``chunksize`` is.
        """
        until = None if timeout is None else time.monotonic() + timeout
        futures = self._submitted(fn, zip(*iterables, strict=False))
        first = deque(itertools.islice(futures, buffersize))
        return self._results(first, None if buffersize is None else futures, until)

    def _submitted(self, fn: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[ExecutorFuture]:
        call: Call | None = None
        lasting = lasts(fn)
        for args in calls:
            if self._shut:
                raise RuntimeError(_SHUT)
            if call is None or not lasting:
                call = call_of(fn)
            yield self._client.submit_made(call.submission(fresh_id(), args, {}), ExecutorFuture)

    def _results(self, futures: deque[ExecutorFuture], later: Iterator[ExecutorFuture] | None, until: float | None) -> Iterator[Any]:
        try:
            while futures:
                if later is not None:
                    futures.extend(itertools.islice(later, 1))
                yield _first_result(futures, until)
        finally:
            self._client.cancel_all([future.task_id for future in futures])

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more; with ``cancel_futures`` what has not begun is cancelled, with ``wait`` what has is waited for."""
        self._shut = True
        mine = self._client.open_handles(ExecutorFuture)
        if cancel_futures:
            self._client.cancel_waiting([future.task_id for future in mine])
        if wait:
            concurrent.futures.wait(mine)
