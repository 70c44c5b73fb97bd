"""The client of a worker's tasks: one of them that waits for others lends its slot to them meanwhile.

Else tasks that wait for tasks could fill all slots, and wait for ever.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from callboard.actors.announcement import announcement
from callboard.actors.attempt import Attempt, Said
from callboard.actors.client import Client, waited
from callboard.actors.request import ProcessRequest
from callboard.actors.uplink import Question
from callboard.messages.context import current
from callboard.messages.task import Submission

if TYPE_CHECKING:
    from callboard.actors.host import WorkerHost


class Parked:
    """Posted to the host: a task begins or ends to wait for other tasks."""

    def __init__(self, attempt: Attempt, parked: bool) -> None:
        self.attempt = attempt
        self.parked = parked


class HostLink:
    """A worker's tasks reach the manager through the host's own socket."""

    def __init__(self, host: WorkerHost) -> None:
        self._host = host

    def submit(self, submission: Submission) -> None:
        """Send a task."""
        self._host.mailbox.post(submission)

    def submit_asking(self, submission: Submission) -> None:
        """Send a task and wait until it is accepted."""
        answer: Future[Any] = Future()
        self._host.mailbox.post((submission, answer))
        waited(answer, self._host.thread_id)

    def ask(self, what: str, arguments: dict[str, Any]) -> Any:
        """Ask the manager."""
        answer: Future[Any] = Future()
        self._host.mailbox.post(Question(what, arguments, answer))
        return waited(answer, self._host.thread_id)

    def say(self, topic: str, data: dict[str, Any]) -> None:
        """Publish an event that is no task's."""
        self._host.mailbox.post(Said(announcement(topic, data, time.time(), self._host.client.max_payload)))


class LendingClient(Client):
    """Lends the slot of the running attempt while it waits for a handle: in `result`, by ``await``, in the standard
    library's ``wait`` and ``as_completed``, or through ``asyncio.wrap_future``."""

    host: WorkerHost

    def __init__(self) -> None:
        super().__init__()
        self._counting = threading.Lock()

    @property
    def blocking(self) -> Callable[[], AbstractContextManager[Any]] | None:
        """Lends the slot of the running task, if it is one that waits."""
        attempt = running()
        return None if attempt is None else functools.partial(self._parked, attempt)

    @contextlib.contextmanager
    def _parked(self, attempt: Attempt) -> Iterator[None]:
        self.lend(attempt)
        try:
            yield
        finally:
            self.take_back(attempt)

    def waiters(self) -> list[Any]:
        """A list that notes who waits, and lends for them."""
        return _Waiters(self)

    def chained(self, fn: Callable[[Any], object]) -> Callable[[Any], object]:
        """Lend until ``fn`` is called, which is when the task has ended."""
        attempt = running()
        if attempt is None:
            return fn
        self.lend(attempt)

        def awaited(handle: Any) -> None:
            self.take_back(attempt)
            fn(handle)

        return awaited

    def lend(self, attempt: Attempt) -> None:
        """The attempt begins to wait; its slot is lent from the first of its waits to the end of the last."""
        with self._counting:
            attempt.parked += 1
            first = attempt.parked == 1
        if first:
            # Whoever kills the worker now, it is not this one.
            self.host.execution.note.end(attempt.seat)
            self.host.execution.crew.lend()
            self.host.mailbox.post(Parked(attempt, True))

    def take_back(self, attempt: Attempt) -> None:
        """One of its waits has ended."""
        with self._counting:
            attempt.parked -= 1
            last = attempt.parked == 0
        if last:
            self.host.execution.note.begin(attempt.seat, attempt.task_id)
            self.host.execution.crew.take_back_slot()
            self.host.mailbox.post(Parked(attempt, False))


class _Waiters(list[Any]):
    """What the standard library's ``wait`` and ``as_completed`` put their waiters into, and take them out of at the end."""

    def __init__(self, client: LendingClient) -> None:
        super().__init__()
        self._client = client
        self._attempts: dict[int, Attempt] = {}

    def append(self, waiter: Any) -> None:
        super().append(waiter)
        attempt = running()
        if attempt is not None:
            self._attempts[id(waiter)] = attempt
            self._client.lend(attempt)

    def remove(self, waiter: Any) -> None:
        super().remove(waiter)
        attempt = self._attempts.pop(id(waiter), None)
        if attempt is not None:
            self._client.take_back(attempt)


def running() -> Attempt | None:
    """The attempt whose code runs here, None outside of one."""
    request = current.get()
    return request._attempt if isinstance(request, ProcessRequest) else None
