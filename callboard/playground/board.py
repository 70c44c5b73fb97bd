"""What can be done with a manager, whether it lives in this process or is connected to.

What is not needed to enter a block is imported where it is used, most of it while the first workers start.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

from callboard.messages.errors import InvalidSetting, PlaygroundClosed

if TYPE_CHECKING:
    from callboard.actors.awaited import LoopSinks
    from callboard.actors.bus import EventBus, Listening
    from callboard.actors.client import Client
    from callboard.actors.handle import TaskHandle
    from callboard.actors.inquiry import TaskInfo, WorkerView
    from callboard.actors.link import ClientLink, LocalLink
    from callboard.events.listener import Handler
    from callboard.events.stream import EventStream
    from callboard.events.where import Where
    from callboard.gather.aggregator import Aggregator
    from callboard.messages.result import TaskResult
    from callboard.messages.shared import SharedValue
    from callboard.messages.task import Submittable
    from callboard.playground.executor import PlaygroundExecutor


PACE = 1_000
"""Events after which who publishes waits for the listeners of this process, so that what they have not heard does not pile up."""
PACE_PATIENCE = 0.05
"""Seconds that they get for it."""
_NOT_BEGUN = "the playground has not begun: tasks can be submitted inside its block only"


class Rule:
    """A task that events start, until `cancel`."""

    def __init__(self, drop: Callable[[], None]) -> None:
        self._drop = drop

    def cancel(self) -> None:
        """Start it no more."""
        self._drop()


class Board:
    """Submits tasks and hears of events. Thread-safe; inside its block only (`PlaygroundClosed`)."""

    def __init__(self) -> None:
        self._client: Client | None = None
        self._sinks: LoopSinks | None = None
        self._link: LocalLink | ClientLink | None = None
        self._bus: EventBus | None = None
        self._executor: PlaygroundExecutor | None = None
        self._emitted = 0

    def __reduce__(self) -> Any:
        raise TypeError(f"a {type(self).__name__} stays in its process; code on a worker submits tasks by ProcessRequest.current().submit")

    # -- tasks ------------------------------------------------------------------------------

    def submit(self, task: Submittable) -> TaskHandle:
        """Submit a task; returns its handle at once. See `TaskHandle`.

        Raises `CannotPickle`, `PayloadTooLarge`, `BacklogFull`, `PlaygroundClosed`, and for a task with a given id
        `DuplicateTask` and `DependencyCycle`.
        """
        _check_task(task)
        return self._the_client().submit(task)

    @overload
    def add_and_execute_task(self, task: Submittable, wait_for_completion: Literal[True] = True) -> Coroutine[Any, Any, TaskResult]: ...
    @overload
    def add_and_execute_task(self, task: Submittable, wait_for_completion: Literal[False]) -> Coroutine[Any, Any, TaskHandle]: ...
    def add_and_execute_task(self, task: Submittable, wait_for_completion: bool = True) -> Coroutine[Any, Any, TaskResult | TaskHandle]:
        """Submit a task and wait for its result, when awaited; cancelling the await cancels the task.

        With ``wait_for_completion=False`` it gives the handle instead. Where the backlog is full it waits without
        stopping the loop. Called in a running loop it submits the task at once, and what it gives is a future as well.
        """
        _check_task(task)
        if wait_for_completion:
            sinks = self._sinks
            if sinks is None:
                raise PlaygroundClosed(_NOT_BEGUN)
            awaited = sinks.submit(task)
            if awaited is not None:  # there is no loop yet in asyncio.run(stage.add_and_execute_task(...))
                return awaited  # type: ignore[return-value]  # which is registered as a Coroutine
        return self._execute(task, wait_for_completion)

    async def _execute(self, task: Submittable, wait_for_completion: bool) -> TaskResult | TaskHandle:
        import asyncio

        client = self._the_client()
        while client.full and client.waits:
            await asyncio.sleep(0.005)
        handle = self.submit(task)
        if not wait_for_completion:
            return handle
        try:
            return await handle
        except asyncio.CancelledError:
            handle.cancel()
            raise

    def put(self, value: Any) -> SharedValue:
        """Keep a value for many tasks: pass what this returns as an argument, and each worker is sent the value once.

        It may be an argument of a function or a top-level value of ``input_data``; tasks get the value itself and must
        not change it. It is let go when the returned object is gone and no open task needs it. From another process this
        waits until the manager has the value. Raises `CannotPickle`, `PayloadTooLarge`, `PlaygroundClosed`; a task that
        uses it on another stage, or after this one has ended, fails with `UnknownValue`.
        """
        from callboard.messages.shared import SharedValue
        from callboard.messages.task import fresh_id

        link = self._the_link()
        packed = self._the_client().packed_value(value)
        shared = SharedValue(fresh_id(), link.drop)
        link.put(shared.value_id, packed)
        return shared

    def fan_out(
        self,
        work: Any,
        items: Iterable[Any],
        *,
        join: Aggregator | type[Aggregator] | Callable[[list[Any]], Any] | None = None,
        on_error: Literal["raise", "skip", "collect"] = "raise",
        quorum: int | None = None,
        timeout: float | None = None,
    ) -> TaskHandle:
        """Do ``work`` for each of ``items`` and gather the results; returns the group's handle at once.

        ``work`` is a Task subclass, a function (``@task`` or plain) or a role. ``join`` is an `Aggregator`, which gets
        each `TaskResult` as it arrives, or a function of the list of outputs in the order of the items; the handle's
        output is what it makes. ``on_error``: an item that fails ends the group ("raise"), is left out ("skip"), or is
        given to the join as its `TaskResult` ("collect"). With ``quorum`` the group is done at so many successes and
        the rest is cancelled. After ``timeout`` seconds what has come is joined. Over ``max_backlog`` it waits or raises as
        `submit` does; what it had submitted by then is cancelled.
        """
        from callboard.actors.aggregator import fan_out
        from callboard.playground.group import tasks_for

        name, tasks = tasks_for(work, items)
        return fan_out(self._the_client(), name, tasks, join=join, on_error=on_error, quorum=quorum, timeout=timeout)

    @property
    def executor(self) -> PlaygroundExecutor:
        """A ``concurrent.futures.Executor`` over plain workers; shutting it down leaves the playground alive."""
        if self._executor is None or self._executor.is_shut:
            from callboard.playground.executor import PlaygroundExecutor

            self._executor = PlaygroundExecutor(self._the_client())
        return self._executor

    # -- events -----------------------------------------------------------------------------

    @overload
    def on(self, topic: str, handler: Handler, *, where: Where | None = None) -> Listening: ...
    @overload
    def on(self, topic: str, handler: None = None, *, start: Submittable, where: Mapping[str, Any] | None = None) -> Rule: ...
    def on(
        self, topic: str, handler: Handler | None = None, *, start: Submittable | None = None, where: Where | None = None
    ) -> Listening | Rule:
        """Call ``handler(event)``, or start a task, whenever an event of the topic (``task.*``, ``*``) fits ``where``.

        ``where`` maps fields of the event (``name``, ``worker``, ``task_id``, ``topic``) or names of its data to the value wanted,
        or to a set, list or tuple of those that will do; for a handler it may be a function of the event.

        Handlers run in the bus's thread, async ones in the loop that registered them. Each start has a fresh id and finds
        its event in ``request.metadata["event"]``. In force when this returns; ``cancel()`` ends it. Nothing is heard that
        this process had emitted, or knew the result of, before it listened (in a handler, which cannot wait: what was on its
        way already may be).
        """
        if (handler is None) == (start is None):
            raise InvalidSetting("on() takes either a handler or start=task")
        if start is None:
            assert handler is not None
            return self._listening_bus().add(topic, handler, where)
        from callboard.events.where import check_where

        check_where(where)
        if where is not None and not isinstance(where, Mapping):
            raise InvalidSetting("start= rules are kept by the manager, so that where must be a mapping, not a function")
        _check_task(start)
        link = self._the_link()
        template = start.submission()
        template.withdraw()  # each start of it has an id of its own
        rule_id = link.add_rule(topic, dict(where or {}), self._the_client().packed(template))
        return Rule(lambda: link.drop_rule(rule_id))

    def events(self, topic: str = "*", *, where: Where | None = None) -> EventStream:
        """``async for event in stage.events("task.*")``: events from now on, until ``close()`` or the end of the block.

        ``where`` is as in `on`.
        """
        return self._listening_bus().stream(topic, where)

    def emit(self, topic: str, **data: Any) -> None:
        """Publish an event of one's own. Who publishes many in a row is slowed down to what listeners of this process hear."""
        from callboard.events.topic import check_topic

        self._the_link().say(check_topic(topic), data)
        self._emitted += 1
        if self._emitted % PACE == 0:
            bus = self._present_bus()
            if bus is not None:
                bus.settle(PACE_PATIENCE)

    # -- who and what is there ------------------------------------------------------------------

    @property
    def workers(self) -> list[WorkerView]:
        """The connected workers."""
        from callboard.actors.inquiry import WorkerView

        return [WorkerView(**fields) for fields in self._the_link().ask("workers", {})]

    @property
    def llm_agents(self) -> list[WorkerView]:
        """The connected workers, under the name that Ceylon has for them."""
        return self.workers

    @property
    def task_manager(self) -> ManagerView:
        """The manager, to be asked about tasks."""
        return ManagerView(self._the_link())

    def explain(self, task_id: str) -> str:
        """Why a task is where it is: what it needs, who could take it, what is before it, which dependency is open."""
        return str(self._the_link().ask("explain", {"task_id": task_id}))

    # -- inside -------------------------------------------------------------------------------

    def _attach(self, client: Client, link: LocalLink | ClientLink) -> None:
        from callboard.actors.awaited import LoopSinks

        self._client, self._link = client, link
        self._sinks = LoopSinks(client)

    def _the_client(self) -> Client:
        if self._client is None:
            raise PlaygroundClosed(_NOT_BEGUN)
        return self._client

    def _the_link(self) -> LocalLink | ClientLink:
        if self._link is None:
            raise PlaygroundClosed("this works inside the playground's block only")
        return self._link

    def _the_bus(self) -> EventBus:
        raise NotImplementedError

    def _listening_bus(self) -> EventBus:
        """The bus, once all that this process has said and seen until now was published, so that no new listener hears it."""
        bus = self._the_bus()
        self._the_link().flush()
        return bus

    def _present_bus(self) -> EventBus | None:
        """The bus, if anybody here has listened to anything."""
        return self._bus


def _check_task(task: object) -> None:
    if not hasattr(type(task), "submission") and (isinstance(task, type) or not hasattr(task, "submission")):
        raise InvalidSetting(f"only a Task can be submitted, not {task!r}; for a function use f.task(...) or .executor.submit(f, ...)")


class ManagerView:
    """The manager as a person asks it; underneath is a pykka ref, or a connection."""

    def __init__(self, link: LocalLink | ClientLink) -> None:
        self._link = link

    def get_task(self, task_id: str) -> TaskInfo:
        """What is known of a task, while it runs and after; raises `UnknownTask`."""
        from callboard.actors.inquiry import TaskInfo
        from callboard.messages.status import TaskStatus

        fields = self._link.ask("task", {"task_id": task_id})
        return TaskInfo(**{**fields, "status": TaskStatus(fields["status"])})

    def overview(self) -> dict[str, Any]:
        """How much waits for what, and who is there."""
        return dict(self._link.ask("overview", {}))

    def dump(self) -> list[dict[str, Any]]:
        """What each worker runs and where its Python stands: its name, pid, host, and text (None: no answer within 2 s)."""
        return list(self._link.ask("dump", {}))
