"""Results that an event loop awaits, thousands at a time: a future of that loop for each task, and one wake-up a batch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any

from callboard.actors.client import Client
from callboard.actors.handle import Outcome, build_result, told_by
from callboard.messages.errors import CallboardError, DuplicateTask
from callboard.messages.result import TaskResult
from callboard.messages.task import Submittable


class Awaited(asyncio.Future[TaskResult]):
    """A submitted task's result, as its loop awaits it. Cancelling it, or who awaits it, cancels the task.

    Of its loop's thread. It is a coroutine as well, for ``create_task`` and whatever else takes nothing but one;
    ``gather`` and the like take a future as it is, and so need no task of the loop's around it.
    """

    # There is a dictionary for more, of which asyncio's future makes none until it is needed.
    __slots__ = ("_client", "_name", "_status", "_steps", "_told", "task_id")

    def __init__(self, loop: asyncio.AbstractEventLoop, client: Client, task_id: str, name: str) -> None:
        super().__init__(loop=loop)
        self._client = client
        self.task_id = task_id
        self._name = name
        self._steps: Generator[Any, None, TaskResult] | None = None

    def keep(self, outcome: Outcome) -> None:
        """The task has ended; `tell` makes the result of this. For the delivering thread."""
        self._status, self._told = outcome.status, told_by(outcome)

    def tell(self) -> None:
        """Give the result to who awaits it."""
        if not self.done():
            self.set_result(build_result(self.task_id, self._name, self._status, self._told))

    def cancel(self, msg: Any | None = None) -> bool:
        """Await it no longer, and cancel the task; False when it has ended."""
        if not super().cancel(msg):
            return False
        self._client.cancel(self.task_id)
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
    """Takes the outcomes of all tasks that one loop awaits. Submitting is for the loop's thread, `take` for any."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: Client) -> None:
        self._loop = loop
        self._client = client
        self._awaited: dict[str, Awaited] = {}
        self._ended: deque[Awaited] = deque()
        self._called = False  # the loop knows that there are some; while it is busy it is not woken again

    def submit(self, task: Submittable) -> Awaited:
        """Submit a task. What prevents that is the future's exception, as who awaits a coroutine expects it."""
        try:
            submission = task.submission()
        except CallboardError as error:
            return self._refused(error)
        if submission.task_id in self._awaited:
            return self._refused(DuplicateTask(submission.task_id))
        made = self._awaited[submission.task_id] = Awaited(self._loop, self._client, submission.task_id, submission.name)
        try:
            self._client.submit_to(self, submission)
        except CallboardError as error:
            self._awaited.pop(submission.task_id, None)
            return self._refused(error)
        return made

    def _refused(self, error: CallboardError) -> Awaited:
        made = Awaited(self._loop, self._client, "", "")
        made.set_exception(error)
        return made

    def take(self, outcomes: list[Outcome]) -> None:
        """Some have ended."""
        ended = self._ended
        for outcome in outcomes:
            awaited = self._awaited.pop(outcome.task_id, None)
            if awaited is not None:
                awaited.keep(outcome)
                ended.append(awaited)
        if not self._called:
            self._called = True
            try:
                self._loop.call_soon_threadsafe(self._tell)
            except RuntimeError:
                ended.clear()  # the loop is closed, and nobody awaits there any more

    def _tell(self) -> None:
        self._called = False  # first, so that what comes from here on is called for again
        ended = self._ended
        for _ in range(len(ended)):
            ended.popleft().tell()


class LoopSinks:
    """The sink of each event loop that awaits tasks of a client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._sinks: dict[asyncio.AbstractEventLoop, LoopSink] = {}

    def present(self) -> LoopSink | None:
        """That of the loop that runs in this thread; None where there is no loop."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return None
        sink = self._sinks.get(loop)
        if sink is None:
            sink = LoopSink(loop, self._client)
            self._sinks = {**{known: its for known, its in self._sinks.items() if not known.is_closed()}, loop: sink}
        return sink
