"""What submits tasks and keeps their handles, whatever lies between it and the manager."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from callboard.actors.backlog import DEFAULT_BACKLOG, Backlog
from callboard.actors.ended import Ended
from callboard.actors.errand import Errands
from callboard.actors.forerunner import Forerunners
from callboard.actors.handle import Outcome, TaskHandle, settle_all
from callboard.actors.label import check_labels, surely_ids
from callboard.actors.party import Link, Sink, Taker
from callboard.messages.codec import Packed, pack
from callboard.messages.errors import BacklogFull, CallboardError, PlaygroundClosed
from callboard.messages.limit import MAX_PAYLOAD
from callboard.messages.payload import OUT_OF_BAND, dumps
from callboard.messages.status import TaskStatus
from callboard.messages.task import Source, Submission, Submittable, Term
from callboard.messages.wire import MAX_NAME

if TYPE_CHECKING:
    from callboard.actors.lead import Lead

WhenFull = Literal["wait", "raise"]
H = TypeVar("H", bound=TaskHandle)
MAX_ASKED = 10_000
"""Ids in one question."""


class Client:
    """Submits tasks over a `Link`. Thread-safe.

    ``max_backlog`` bounds how many of its tasks are open; over it `submit` waits (``when_full="wait"``; never in a
    running event loop, which it would stop) or raises `BacklogFull`.
    """

    def __init__(self, max_backlog: int = DEFAULT_BACKLOG, when_full: WhenFull = "wait") -> None:
        self._open: dict[str, TaskHandle | Taker] = {}
        self._groups: dict[str, TaskHandle] = {}
        self._backlog = Backlog(max_backlog)
        self._when_full = when_full
        self._link: Link | None = None
        self.lead: Lead | None = None
        """By which who waits for a task of this client may work for it."""
        self._term = Term()
        self._reason = "the playground has not begun"
        self.max_payload = MAX_PAYLOAD
        self.errands = Errands("callboard-callbacks")
        self._forerunners = Forerunners()

    # -- life -------------------------------------------------------------------------------

    def attach(self, link: Link, lead: Lead | None = None) -> None:
        """From now on tasks go this way."""
        self._link = link
        self.lead = lead

    def detach(self, reason: str, *, ended: bool) -> None:
        """Take no more tasks. ``ended``: the manager will not be there any more."""
        self._link = self.lead = None
        self._term.over |= ended
        self._reason = reason

    def abandon(self, error: CallboardError) -> None:
        """Nobody will finish what is open: all of it ends FAILED with this error."""
        for group in self.open_groups():
            self.end_group(Ended.by(group.task_id, group.name, error))
        left = list(self._open)
        self.deliver([Ended.by(task_id, getattr(self._open.get(task_id), "name", ""), error) for task_id in left])

    @property
    def link(self) -> Link:
        """The way to the manager; `PlaygroundClosed` when there is none."""
        if self._link is None:
            raise PlaygroundClosed(f"{self._reason}: tasks can be submitted inside its block only")
        return self._link

    @property
    def open_count(self) -> int:
        """How many tasks have no outcome yet."""
        return len(self._open)

    # -- tasks ------------------------------------------------------------------------------

    def submit(self, task: Submittable, make: Callable[[Client, str, str], TaskHandle] = TaskHandle) -> TaskHandle:
        """Submit a task; returns its handle at once.

        Raises `PlaygroundClosed`, `BacklogFull`, `CannotPickle`; for a task with a given id also `DuplicateTask` and
        `DependencyCycle`.
        """
        if self._forerunners.kept:
            earlier = self._forerunners.take(task)
            if earlier is not None:
                return earlier
        return self.submit_made(task.submission(), make)

    def submit_made(self, submission: Submission, make: Callable[[Client, str, str], H]) -> H:
        """Likewise for what is a submission already."""
        try:
            link = self.link
            if submission.sources:
                self._submit_sources(submission)
            if len(self._open) >= self._backlog.limit:
                self.make_room()
            if not self._is_plain(submission):
                self.packed(submission)
            handle = make(self, submission.task_id, submission.name)
            self._enter(link, link.submit if self.lead is None else self.lead.hand, submission, handle)
        except CallboardError:
            submission.withdraw()
            raise
        return handle

    def submit_to(self, taker: Taker, submission: Submission) -> None:
        """Submit a task whose outcome goes to ``taker``."""
        try:
            if submission.sources:
                self._submit_sources(submission)
            if not self._is_plain(submission):
                self.packed(submission)
            link = self.link
            self._enter(link, link.submit, submission, taker)
        except CallboardError:
            submission.withdraw()
            raise

    def _submit_sources(self, submission: Submission) -> None:
        # Through a row, not by recursion: tasks may be nested in each other's arguments a thousand deep.
        row: list[tuple[Source | None, Submission]] = [(None, submission)]
        try:
            for _, each in row:
                for source in each.sources:
                    its = source.first_submission()
                    if its is not None:
                        row.append((source, its))
            for origin, each in reversed(row):
                sent = {source.id for source in each.sources if source.was_sent_in(self._term)}
                each.dependencies_sent = sent.issuperset(each.dependencies)
                each.sources = ()
                if origin is not None:
                    self._forerunners.keep(origin, self.submit_made(each, TaskHandle))
        except BaseException:
            for _, each in row:
                each.withdraw()
            raise

    def enter_group(self, handle: TaskHandle) -> None:
        """The handle of a group, which is open until the group has ended, and is none of the tasks in the backlog."""
        self._groups[handle.task_id] = handle

    def end_group(self, outcome: Outcome) -> None:
        """A group has ended."""
        handle = self._groups.pop(outcome.task_id, None)
        if handle is not None:
            calls = settle_all([(handle, outcome)])
            if calls:
                self.errands.run(calls)

    def open_groups(self) -> list[TaskHandle]:
        """The handles of groups that have not ended."""
        return list(self._groups.values())

    def announce(self, topic: str, data: dict[str, Any]) -> None:
        """Publish an event, if there is still a way."""
        if self._link is not None:
            self._link.say(topic, data)

    def packed(self, submission: Submission) -> Submission:
        """The submission, ready to travel; `PayloadTooLarge` or `InvalidTask` when it may not."""
        check_labels(submission)
        submission.payload = pack(submission.payload, self.max_payload, f"the input of task {submission.name!r}")
        if submission.code is not None:
            pack(submission.code.blob, self.max_payload, f"the code of task {submission.name!r}")
        fallback = submission.fallback
        if isinstance(fallback, Submission):
            self.packed(fallback)
        elif fallback is not None:
            submission.fallback = pack(fallback, self.max_payload, f"the fallback of task {submission.name!r}")
        return submission

    def _is_plain(self, submission: Submission) -> bool:
        """Whether there is nothing about it to be checked or packed, as with most."""
        payload, name, code = submission.payload, submission.name, submission.code
        return (
            type(payload) is bytes
            and len(payload) < OUT_OF_BAND
            and len(payload) <= self.max_payload
            and len(name) <= MAX_NAME
            and name.isascii()
            and (code is None or len(code.blob) <= self.max_payload)
            and submission.fallback is None
            and (not submission.dependencies or surely_ids(submission.dependencies))
            and not submission.given_id
            and submission.idempotency_key is None
        )

    def packed_value(self, value: Any) -> Packed:
        """A value of its own, as it is now, ready to travel; `PayloadTooLarge` when it may not."""
        payload = dumps(value, "a shared value")
        if isinstance(payload, list):
            # It is kept for long, so that what could be changed meanwhile is copied.
            payload = [part if memoryview(part).readonly else bytes(part) for part in payload]
        return pack(payload, self.max_payload, "a shared value")

    def _enter(self, link: Link, send: Callable[[Submission], None], submission: Submission, taker: TaskHandle | Taker) -> None:
        task_id = submission.task_id
        known = submission.given_id and task_id in self._open
        if not known:
            self._open[task_id] = taker
        try:
            if submission.given_id:
                link.submit_asking(submission)
            else:
                send(submission)
        except BaseException:  # Ctrl-C, too: nobody has the handle then
            if not known:
                self._open.pop(task_id, None)
            raise
        origin = submission.origin
        if origin is not None:
            submission.origin = None
            origin.note_sent(self._term)

    def make_room(self) -> None:
        """Wait until one more task may be open; `BacklogFull` where that is not to be waited for."""
        if not self.full:
            return
        if self._when_full == "raise" or _in_loop():
            raise BacklogFull(f"{len(self._open):,} tasks are open, which is max_backlog; submit again when some have ended")
        self._backlog.wait(lambda: len(self._open), lambda: self._link is None)
        if self._link is None:
            raise PlaygroundClosed(f"{self._reason} while submit waited for room")

    def holds(self, handle: TaskHandle) -> bool:
        """Whether this is the handle of an open task, whose outcome the link is going to bring."""
        return self._open.get(handle.task_id) is handle

    def takes(self, task: Submittable) -> bool:
        """Whether the task can be submitted now, and has no handle already, from having been submitted on another's account."""
        return len(self._open) < self._backlog.limit and not (self._forerunners.kept and self._forerunners.holds(task))

    @property
    def waits(self) -> bool:
        """Whether who submits over the limit waits, rather than being refused."""
        return self._when_full == "wait"

    @property
    def full(self) -> bool:
        """Whether as many tasks are open as may be."""
        return len(self._open) >= self._backlog.limit

    def deliver(self, outcomes: Sequence[Outcome]) -> None:
        """Tasks have ended. Called by the link, from one thread."""
        pop = self._open.pop
        pairs: list[tuple[TaskHandle, Outcome]] = []
        sinks: set[Sink] = set()
        for outcome in outcomes:
            taker = pop(outcome.task_id, None)
            if isinstance(taker, TaskHandle):
                pairs.append((taker, outcome))
            elif taker is not None:
                sinks.add(taker.keep(outcome))
        if pairs:
            calls = settle_all(pairs)
            if calls:
                self.errands.run(calls)
        for sink in sinks:
            sink.wake()
        self._backlog.freed()

    def cancel(self, task_id: str, force: bool = False) -> bool:
        """Cancel a task; False when it has ended."""
        return bool(self.cancel_all([task_id], force))

    def cancel_all(self, ids: Sequence[str], force: bool = False) -> list[str]:
        """Cancel tasks; returns the ids of those that had not ended."""
        if self._link is None:
            return []
        link = self._link
        return [known for some in _batches(ids) for known in link.ask("cancel", {"ids": some, "force": force})]

    def cancel_waiting(self, ids: Sequence[str]) -> None:
        """Cancel those of these tasks that have not begun."""
        if self._link is not None:
            for some in _batches(ids):
                self._link.ask("cancel_waiting", {"ids": some})

    def open_handles(self, kind: type[TaskHandle]) -> list[TaskHandle]:
        """The handles of a kind whose tasks have not ended."""
        return [taker for taker in list(self._open.values()) if isinstance(taker, kind)]

    def status(self, task_id: str) -> TaskStatus:
        """Where a task stands; raises `UnknownTask`."""
        return TaskStatus(self.link.ask("status", {"task_id": task_id}))

    @property
    def blocking(self) -> Callable[[], AbstractContextManager[Any]] | None:
        """Makes what is entered by who waits for a handle of this client, for as long as it waits; None for nothing."""
        return None

    def waiters(self) -> list[Any]:
        """Where the standard library's ``wait`` and ``as_completed`` put who waits for a handle."""
        return []

    def chained(self, fn: Callable[[Any], object]) -> Callable[[Any], object]:
        """The done-callback of somebody who is going to await a handle through a future of asyncio."""
        return fn


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _batches(ids: Sequence[str]) -> list[list[str]]:
    """The ids in parts that a message can hold."""
    return [list(ids[start : start + MAX_ASKED]) for start in range(0, len(ids), MAX_ASKED)]


def waited(answer: Future[Any], thread_id: int | None) -> Any:
    """The answer to a question; an error when it is asked in the very thread that would have to bring it."""
    if not answer.done() and thread_id == threading.get_ident():
        raise RuntimeError("this would wait for itself: ask from another thread")
    return answer.result()
