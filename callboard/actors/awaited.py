"""Results that an event loop awaits, thousands at a time: a future of that loop for each task, and one wake-up a batch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from types import TracebackType
from typing import Any

from callboard.actors.client import Client
from callboard.actors.handle import Outcome, Told, build_result, told_by
from callboard.messages.errors import CallboardError
from callboard.messages.result import TaskResult
from callboard.messages.status import TaskStatus
from callboard.messages.task import Submittable


class Awaited(asyncio.Future[TaskResult]):
    """A submitted task's result, as its loop awaits it. Cancelling it, or who awaits it, cancels the task. See `LoopSink`, which makes it.

    Of its loop's thread. It is a coroutine as well, for ``create_task`` and whatever else takes nothing but one;
    ``gather`` and the like take a future as it is, and so need no task of the loop's around it.
    """

    # There is a dictionary for more, of which asyncio's future makes none until it is needed.
    __slots__ = ("_gatherer", "_sink", "_status", "_steps", "_told", "name", "task_id")

    task_id: str
    name: str
    _sink: LoopSink
    _gatherer: Callable[[Any], object] | None
    _steps: Generator[Any, None, TaskResult] | None
    _status: TaskStatus
    _told: Told | None

    def keep(self, outcome: Outcome) -> LoopSink:
        """The task has ended; `tell` makes the result of this. For the delivering thread."""
        self._status, self._told = outcome.status, told_by(outcome)
        self._sink.ended.append(self)
        return self._sink

    def tell(self) -> None:
        """Give the result to who awaits it."""
        told, self._told = self._told, None
        if told is not None and not self.done():
            self.set_result(build_result(self.task_id, self.name, self._status, told))
            gatherer, self._gatherer = self._gatherer, None  # which knows all that it gathers
            if gatherer is not None:
                gatherer(self)

    def add_done_callback(self, fn: Callable[[Any], object], *, context: Context | None = None) -> None:
        """As a future's. What ``gather`` and its like wait by is called by `tell` itself.

        It looks at no context and raises nothing, and so needs neither a copy of the context nor a turn of the loop for
        each of thousands.
        """
        if context is None and self._gatherer is None and getattr(fn, "__module__", None) == "asyncio.tasks" and not self.done():
            self._gatherer = fn
        else:
            super().add_done_callback(fn, context=context)

    def remove_done_callback(self, fn: Callable[[Any], object], /) -> int:
        """As a future's."""
        removed = super().remove_done_callback(fn)
        if self._gatherer is not None and self._gatherer == fn:
            self._gatherer = None
            removed += 1
        return removed

    def cancel(self, msg: Any | None = None) -> bool:
        """Await it no longer, and cancel the task; False when it has ended."""
        if not super().cancel(msg):
            return False
        gatherer, self._gatherer = self._gatherer, None
        if gatherer is not None:
            self._sink.loop.call_soon(gatherer, self)
        self._sink.client.cancel(self.task_id)
        return True

    def send(self, value: Any) -> Any:
        """As a coroutine's: go on until the next thing to wait for."""
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.send(value)

    def throw(self, kind: Any, value: BaseException | None = None, traceback: TracebackType | None = None, /) -> Any:
        """As a coroutine's: raise this where it waits. A loop that cancels it before its first step does it by this."""
        if kind is asyncio.CancelledError or isinstance(kind, asyncio.CancelledError):
            self.cancel()
        raise kind if value is None else value

    def close(self) -> None:
        """As a coroutine's: nobody goes on with it; the task does."""


Coroutine.register(Awaited)


class LoopSink:
    """Wakes one loop for all tasks that it awaits. Submitting is for the loop's thread, `wake` for any."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: Client) -> None:
        self.loop = loop
        self.client = client
        self.ended: deque[Awaited] = deque()
        self._called = False  # the loop knows that there are some; while it is busy it is not woken again

    def wake(self) -> None:
        """Some have ended."""
        if not self._called:
            self._called = True
            try:
                self.loop.call_soon_threadsafe(self._tell)
            except RuntimeError:
                self.ended.clear()  # the loop is closed, and nobody awaits there any more

    def _tell(self) -> None:
        self._called = False  # first, so that what comes from here on is called for again
        ended = self.ended
        for _ in range(len(ended)):
            ended.popleft().tell()


class LoopSinks:
    """The sink of each event loop that awaits tasks of a client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._sinks: dict[asyncio.AbstractEventLoop, LoopSink] = {}

    def submit(self, task: Submittable) -> Awaited | None:
        """Submit a task that the loop of this thread awaits; None where no loop runs, or the client does not take the task as it is."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return None
        client = self._client
        if not client.takes(task):
            return None
        sink = self._sinks.get(loop)
        if sink is None:
            sink = LoopSink(loop, client)
            self._sinks = {**{known: its for known, its in self._sinks.items() if not known.is_closed()}, loop: sink}
        made = Awaited(loop=loop)
        made._sink = sink
        made._gatherer = made._steps = None
        try:
            submission = task.submission()
            made.task_id = submission.task_id
            made.name = submission.name
            client.submit_to(made, submission)
        except CallboardError as error:
            made.task_id = made.name = ""
            made.set_exception(error)
        return made
