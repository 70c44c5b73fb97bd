"""Fan-in: the actor that gathers what was fanned out, in the process that asked for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from callboard.actors.actor import SocketActor
from callboard.actors.client import Client
from callboard.actors.ended import Ended
from callboard.actors.handle import Outcome, TaskHandle, result_of
from callboard.actors.mailbox import Mail
from callboard.gather.aggregator import Aggregator
from callboard.gather.decision import CancelRest, Close, Feed
from callboard.gather.gather import Gather
from callboard.gather.join import Join, JoinFunction, make_join
from callboard.messages.errors import CallboardError, InvalidSetting, TaskCancelled
from callboard.messages.failure import Failure
from callboard.messages.result import TaskResult
from callboard.messages.status import TaskStatus
from callboard.messages.task import Submission, Submittable, fresh_id

logger = logging.getLogger("callboard")


class GroupHandle(TaskHandle):
    """The handle of a fan-out. Its output is what the join made."""

    _actor: AggregatorActor

    @property
    def status(self) -> TaskStatus:
        """RUNNING until the join has finished."""
        return self._status or TaskStatus.RUNNING

    def cancel(self, force: bool = False) -> bool:
        """Cancel the items that have not ended, and the group with them; False when it has ended already."""
        if self._status is not None:
            return False
        self._actor.mailbox.post(lambda: self._actor.cancel(force))
        return True


class AggregatorActor(SocketActor):
    """Takes the items' outcomes as they arrive, feeds the join in its own thread, and ends when the group has."""

    def __init__(self, client: Client, handle: GroupHandle, gather: Gather, join: Join, timeout: float | None) -> None:
        super().__init__()
        self._client = client
        self._handle = handle
        self._gather = gather
        self._join = join
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._indexes: dict[str, int] = {}
        self._arrived: list[Outcome] = []
        self._force = False

    def add(self, task_id: str, index: int) -> None:
        """An item of the group, before it is submitted."""
        self._indexes[task_id] = index

    def keep(self, outcome: Outcome) -> AggregatorActor:
        """An item has ended. Called in the delivering thread."""
        self._arrived.append(outcome)
        return self

    def wake(self) -> None:
        """Have the join fed with what has ended. Called in the delivering thread."""
        arrived, self._arrived = self._arrived, []
        self.mailbox.post(arrived)

    def begin(self) -> None:
        """All items are known. An order to be posted."""
        self._carry_out(self._gather.start())

    def cancel(self, force: bool) -> None:
        """The group is not wanted any more. An order to be posted."""
        self._force = force
        self._carry_out(self._gather.cancel())

    def next_deadline(self) -> float | None:
        """When the group's time is up."""
        return self._deadline

    def receive(self, mail: Mail) -> None:
        """Feed the join."""
        if self._handle.done():  # the block or the connection has ended
            self.stop()
            return
        for item in mail.items:
            if isinstance(item, list):
                for outcome in item:
                    self._ended(outcome)
            else:
                item()
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._deadline = None
            self._carry_out(self._gather.timeout())

    def _ended(self, outcome: Outcome) -> None:
        index = self._indexes.pop(outcome.task_id, None)
        if index is not None and not self._gather.closed:
            self._carry_out(self._gather.add(index, result_of(outcome)))

    def _carry_out(self, decisions: Sequence[Any]) -> None:
        for decision in decisions:
            try:
                if isinstance(decision, Feed):
                    self._join.feed(decision)
                elif isinstance(decision, CancelRest):
                    self._client.cancel_all(list(self._indexes), self._force)
                elif isinstance(decision, Close):
                    self._close_group(decision)
            except CallboardError as error:
                self._end(TaskStatus.FAILED, None, str(error), Failure.of(error))
            except Exception as error:  # the user's join
                self._broken(error)

    def _broken(self, error: Exception) -> None:
        if self._indexes:
            self._client.cancel_all(list(self._indexes), self._force)
        self._end(TaskStatus.FAILED, None, f"the join raised {type(error).__name__}: {error}", Failure.of(error))

    def _close_group(self, close: Close) -> None:
        if close.status is TaskStatus.COMPLETED:
            output = self._join.finish()
            self._end(TaskStatus.COMPLETED, output, None, None)
            return
        culprit = close.culprit
        failure = culprit.failure if culprit is not None and culprit.failure is not None else None
        error = close.error or TaskCancelled("the group was cancelled")
        self._end(close.status, None, str(error), failure or (None if close.status is TaskStatus.CANCELLED else Failure.of(error)))

    def _end(self, status: TaskStatus, output: Any, error: str | None, failure: Failure | None) -> None:
        if self._handle.done():
            return
        handle = self._handle
        # The output never leaves this process, so that it need not be picklable.
        handle._result = TaskResult(handle.task_id, handle.name, status, output, error, failure, None, 1, 0.0)
        outcome = Ended(handle.task_id, handle.name, error, failure, status)
        # Before who waits for the group can go on, and perhaps leave the block.
        self._client.announce("group.completed", {"group": handle.task_id, "name": handle.name, "status": status.value})
        self._client.end_group(outcome)
        self.stop()


def fan_out(
    client: Client,
    name: str,
    tasks: Sequence[Submittable],
    *,
    join: Aggregator | type[Aggregator] | JoinFunction | None = None,
    on_error: str = "raise",
    quorum: int | None = None,
    timeout: float | None = None,
) -> GroupHandle:
    """Submit ``tasks`` and gather what becomes of them; see ``Playground.fan_out``."""
    if timeout is not None and (not isinstance(timeout, int | float) or isinstance(timeout, bool) or not timeout > 0):
        raise InvalidSetting(f"the timeout of a fan-out must be more than 0 seconds, not {timeout!r}")
    gather = Gather(len(tasks), on_error, quorum)
    submissions: list[Submission] = []
    try:
        submissions.extend(task.submission() for task in tasks)
        handle = GroupHandle(client, fresh_id(), name)
        actor, _ = AggregatorActor.launch(client, handle, gather, make_join(join), timeout)
        _submit(client, submissions, handle, actor)
    finally:
        for submission in submissions:
            submission.withdraw()
    return handle


def _submit(client: Client, submissions: Sequence[Submission], handle: GroupHandle, actor: AggregatorActor) -> None:
    handle._actor = actor
    client.enter_group(handle)
    for index, submission in enumerate(submissions):
        actor.add(submission.task_id, index)
    try:
        for submission in submissions:
            client.make_room()
            if handle.done():  # by what became of the first ones, while there was no room for the rest
                break
            client.submit_to(actor, submission)
    except BaseException:  # nobody gets the handle, so that nobody else could end the group, and the block would wait for it
        actor.mailbox.post(lambda: actor.cancel(False))
        raise
    actor.mailbox.post(actor.begin)
