"""What a worker's code is given to work on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from callboard.actors.attempt import Attempt
from callboard.actors.handle import TaskHandle, result_of
from callboard.messages.codec import Packed, load
from callboard.messages.context import current
from callboard.messages.errors import NoRequest
from callboard.messages.result import TaskResult
from callboard.messages.task import Submittable

if TYPE_CHECKING:
    from callboard.actors.client import Client
    from callboard.gather.aggregator import Aggregator

Say = Callable[[Attempt, str, dict[str, Any]], None]


class ProcessRequest:
    """One attempt at a task, as `ProcessWorker.process` receives it. Its methods may be called from any thread."""

    def __init__(self, attempt: Attempt, say: Say, client: Client) -> None:
        self._attempt = attempt
        self._say = say
        self._client = client
        self._inputs: Mapping[str, Any] = {}
        self._metadata: dict[str, Any] = {}
        self._dependencies: dict[str, TaskResult] | None = None

    def fill(self, inputs: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        """Take in the unpickled payload."""
        self._inputs = inputs
        self._metadata = dict(metadata)
        if self._attempt.event is not None:
            self._metadata["event"] = self._event(self._attempt.event, self._attempt.rich)

    def _event(self, event: dict[str, Any], rich: Packed | None) -> dict[str, Any]:
        return event if rich is None else {**event, "data": {**event["data"], **load(rich)}}

    @property
    def id(self) -> str:
        """The task's id."""
        return self._attempt.task_id

    @property
    def task_type(self) -> str:
        """The processor that was asked for; empty for carried code that any role may run."""
        return self._attempt.spec.role or ""

    @property
    def name(self) -> str:
        """The task's name."""
        return self._attempt.name

    @property
    def input_data(self) -> Mapping[str, Any]:
        """The whole ``input_data`` of the task, ``{}`` when there is none."""
        return self._inputs

    @property
    def data(self) -> Any:
        """``input_data["data"]`` where there is one, else the whole of it."""
        return self._inputs.get("data", self._inputs)

    @property
    def dependency_data(self) -> dict[str, TaskResult]:
        """How the task's dependencies ended, by task id."""
        if self._dependencies is None:
            self._dependencies = {row.task_id: result_of(row) for row in self._attempt.inputs}
        return self._dependencies

    @property
    def metadata(self) -> dict[str, Any]:
        """The task's metadata; for a task that a listener started, ``"event"`` holds the event."""
        return self._metadata

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self._attempt.number

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked this attempt to stop. Long loops should look at it and return."""
        return self._attempt.halted

    def progress(self, fraction: float, text: str = "") -> None:
        """Tell how far the work is, from 0 to 1, to whoever listens to ``task.progress``."""
        self._say(self._attempt, "task.progress", {"fraction": float(fraction), "text": text})

    def emit(self, topic: str, **data: Any) -> None:
        """Publish an event of one's own; it is known to come from this task and worker."""
        from callboard.events.topic import check_topic

        self._say(self._attempt, check_topic(topic), data)

    def submit(self, task: Submittable) -> TaskHandle:
        """Submit another task. While this one waits for it (``result()``, ``await``, ``concurrent.futures.wait``) its slot
        is free for others."""
        return self._client.submit(task)

    def fan_out(
        self,
        tasks: Iterable[Submittable],
        *,
        join: Aggregator | type[Aggregator] | Callable[[list[Any]], Any] | None = None,
        on_error: Literal["raise", "skip", "collect"] = "raise",
        quorum: int | None = None,
        timeout: float | None = None,
    ) -> TaskHandle:
        """Submit several tasks and gather what becomes of them; the join runs in this process. See `Playground.fan_out`."""
        from callboard.actors.aggregator import fan_out

        return fan_out(self._client, self.name, list(tasks), join=join, on_error=on_error, quorum=quorum, timeout=timeout)

    @classmethod
    def current(cls) -> ProcessRequest:
        """The attempt that the calling code belongs to, for functions and Task classes, which are given no request.

        Raises `NoRequest` outside of one, and in threads that the code has started itself.
        """
        request = current.get()
        if not isinstance(request, cls):
            raise NoRequest("there is no request here: no task of a worker is running in this thread")
        return request
