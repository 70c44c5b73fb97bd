"""Fan-in: what the results of a group's items mean for the group."""

from __future__ import annotations

from enum import StrEnum

from callboard.gather.decision import CancelRest, Close, Decision, Feed
from callboard.messages.errors import GroupFailed, InvalidSetting, QuorumNotReached, TaskCancelled
from callboard.messages.result import TaskResult
from callboard.messages.status import TaskStatus


class OnError(StrEnum):
    """What an item that did not complete does to its group.

    RAISE ends the group as FAILED, SKIP leaves the item out, COLLECT hands its `TaskResult` to the join.
    """

    RAISE = "raise"
    SKIP = "skip"
    COLLECT = "collect"


class Gather:
    """One group of ``size`` items, which answer in any order.

    Without a quorum the group completes when every item has ended, or fails as ``on_error`` says. With ``quorum=k`` it
    completes at k successes and fails with `QuorumNotReached` as soon as k are out of reach; failures up to there are
    what a quorum allows for, so that RAISE then leaves them out as SKIP does.

    An item succeeds when it is COMPLETED; FAILED, CANCELLED and SKIPPED are failures alike. A second result of an item,
    and whatever comes after the end, is ignored. Every method returns decisions to be carried out in order. Not thread-safe.
    """

    def __init__(self, size: int, on_error: str = OnError.RAISE, quorum: int | None = None) -> None:
        """Raises `InvalidSetting`."""
        if on_error not in tuple(OnError):
            raise InvalidSetting(f"on_error must be one of {', '.join(repr(rule.value) for rule in OnError)}, not {on_error!r}")
        if quorum is not None and (not isinstance(quorum, int) or isinstance(quorum, bool) or not 1 <= quorum <= size):
            raise InvalidSetting(f"quorum must be a whole number from 1 to the number of items ({size}), not {quorum!r}")
        self._size = size
        self._on_error = OnError(on_error)
        self._quorum = quorum
        self._seen = bytearray(size)
        self._ended = 0
        self._succeeded = 0
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the group has ended."""
        return self._closed

    @property
    def open_items(self) -> tuple[int, ...]:
        """Indexes of the items that have not answered, in order."""
        return tuple(index for index, seen in enumerate(self._seen) if not seen)

    def start(self) -> tuple[Decision, ...]:
        """Begin: a group without items is complete at once."""
        return () if self._size else self._complete()

    def add(self, index: int, result: TaskResult) -> tuple[Decision, ...]:
        """The item at ``index`` has ended."""
        if self._closed or self._seen[index]:
            return ()
        self._seen[index] = 1
        self._ended += 1
        if result.success:
            self._succeeded += 1
            return (Feed(index, result), *self._after(result))
        if self._on_error is OnError.COLLECT:
            return (Feed(index, result), *self._after(result))
        if self._on_error is OnError.RAISE and self._quorum is None:
            text = f"item {index} of {self._size} ({result.name!r}) {result.status.value}: {result.error or 'no reason given'}"
            return self._fail(GroupFailed(text), result)
        return self._after(result)

    def timeout(self) -> tuple[Decision, ...]:
        """Time is up: what has come is kept and joined, unless a quorum is not met."""
        if self._closed:
            return ()
        if self._quorum is None:
            return self._complete()
        return self._fail(QuorumNotReached(f"{self._score()} when the time was up"), None)

    def cancel(self) -> tuple[Decision, ...]:
        """The group is not wanted any more."""
        if self._closed:
            return ()
        return self._close(
            Close(TaskStatus.CANCELLED, TaskCancelled(f"the group was cancelled when {self._ended} of {self._size} had ended"))
        )

    def _after(self, result: TaskResult) -> tuple[Decision, ...]:
        if self._quorum is None:
            return self._complete() if self._ended == self._size else ()
        if self._succeeded >= self._quorum:
            return self._complete()
        if self._succeeded + self._size - self._ended < self._quorum:
            return self._fail(QuorumNotReached(f"{self._score()}; the last to fail: {result.error or result.status.value}"), result)
        return ()

    def _score(self) -> str:
        return (
            f"{self._succeeded} of {self._size} items succeeded and {self._ended - self._succeeded} failed, of the quorum of {self._quorum}"
        )

    def _complete(self) -> tuple[Decision, ...]:
        return self._close(Close(TaskStatus.COMPLETED))

    def _fail(self, error: GroupFailed | QuorumNotReached, culprit: TaskResult | None) -> tuple[Decision, ...]:
        return self._close(Close(TaskStatus.FAILED, error, culprit))

    def _close(self, close: Close) -> tuple[Decision, ...]:
        self._closed = True
        return (close,) if self._ended == self._size else (CancelRest(), close)
