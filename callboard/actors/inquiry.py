"""Answers about tasks and workers, from the dispatcher's records, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from callboard.actors.dispatch.dispatcher import Dispatcher
from callboard.actors.dispatch.entry import Entry
from callboard.actors.dispatch.record import WorkerRecord
from callboard.actors.publisher import KNOWN_TOPICS
from callboard.messages.errors import InvalidSetting
from callboard.messages.status import TaskStatus


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """What is known of a task. ``worker`` is the name of the one that has it, or had it last."""

    task_id: str
    name: str
    status: TaskStatus
    processor: str | None
    skills: dict[str, int]
    priority: int
    attempts: int
    worker: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One connected worker. ``load`` is how many tasks it has, ``since`` seconds since the epoch."""

    name: str
    role: str
    skills: dict[str, int]
    slots: int
    load: int
    pid: int
    host: str
    since: float
    id: str


class Inquiry:
    """Looks things up. In the manager's thread."""

    topics = KNOWN_TOPICS

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def answer(self, what: str, arguments: dict[str, Any]) -> Any:
        """The answer to a client's question, JSON-able."""
        if what == "ping":
            return None
        if what == "status":
            return self._dispatcher.entry(arguments["task_id"]).seen_status().value
        if what == "task":
            return _fields(self.task(arguments["task_id"]))
        if what == "workers":
            return [_fields(view) for view in self.workers()]
        if what == "overview":
            return self.overview()
        if what == "explain":
            return self.explain(arguments["task_id"])
        raise InvalidSetting(f"nobody knows how to answer {what!r}")

    def task(self, task_id: str) -> TaskInfo:
        """What is known of a task; raises `UnknownTask`."""
        entry = self._dispatcher.entry(task_id)
        spec = entry.category.spec
        worker = entry.worker.info.name if entry.worker is not None else entry.worker_name
        begun = entry.attempts + (entry.worker is not None and entry.worker.is_running(entry))
        return TaskInfo(
            entry.task_id, entry.name, entry.seen_status(), spec.role, dict(spec.skills), spec.priority, begun, worker, entry.error
        )

    def workers(self) -> list[WorkerView]:
        """All connected workers, in order of joining."""
        return [_view(worker) for worker in self._dispatcher.roster.workers.values()]

    def overview(self) -> dict[str, Any]:
        """How much waits for what, and who is there."""
        roster = self._dispatcher.roster
        queues = [
            {"needs": requirement.describe(), "ready": requirement.ready, "capable": requirement.capable()}
            for requirement in roster.requirements.values()
            if requirement.ready
        ]
        inflight = sum(len(worker.inflight) for worker in roster.workers.values())
        return {
            "open": self._dispatcher.ledger.open,
            "ready": sum(queue["ready"] for queue in queues),
            "at_workers": inflight,
            "queues": queues,
            "workers": [_fields(view) for view in self.workers()],
            "stale": self._dispatcher.stale,
        }

    def explain(self, task_id: str) -> str:
        """Why a task is where it is, in words."""
        entry = self._dispatcher.entry(task_id)
        lines = [f"task {entry.name!r} ({entry.task_id}) is {entry.seen_status().value}"]
        if entry.final:
            if entry.error:
                lines.append(f"it ended with: {entry.error}")
        elif entry.worker is not None:
            place = list(entry.worker.inflight).index(entry.task_id)
            where = "runs" if entry.worker.is_running(entry) else f"waits behind {place} other(s)"
            lines.append(f"it {where} on worker {entry.worker.info.name!r} (attempt {entry.attempts + 1})")
        elif entry.waiting_for:
            lines += self._open_dependencies(entry)
        else:
            lines += self._waiting(entry)
        return "\n".join(lines)

    def _open_dependencies(self, entry: Entry) -> list[str]:
        lines = [f"it waits for {entry.waiting_for} dependency(ies):"]
        entries = self._dispatcher.ledger.entries
        for task_id in entry.dependencies:
            dependency = entries.get(task_id)
            if dependency is None:
                lines.append(f"  {task_id}: nobody has submitted it")
            elif not dependency.final:
                lines.append(f"  {task_id} ({dependency.name!r}): {dependency.seen_status().value}")
        return lines

    def _waiting(self, entry: Entry) -> list[str]:
        requirement = entry.category.requirement
        lines = [f"it needs {requirement.describe()}"]
        present = [worker for worker in self._dispatcher.roster.workers.values() if not worker.leaving]
        able = [worker for worker in present if any(worker.profile is profile for _, profile in requirement.profiles)]
        if not able:
            lines.append("nobody who is connected could take it")
        else:
            names = ", ".join(f"{worker.info.name!r} ({len(worker.inflight)} of {worker.info.slots} slots taken)" for worker in able[:20])
            lines.append(f"who could take it: {names}")
        if entry.order in requirement.pool:
            lines.append(f"{requirement.in_row().index(entry)} task(s) of the same needs are before it")
        else:
            lines.append(
                f"it waits to be tried again after {entry.rare.failures} failure(s)"
                if entry.rare.failures
                else "it is about to be assigned"
            )
        return lines


def _view(worker: WorkerRecord) -> WorkerView:
    info = worker.info
    return WorkerView(
        info.name, info.role, dict(info.skills), info.slots, len(worker.inflight), info.pid, info.host, worker.since, info.worker_id
    )


def _fields(value: TaskInfo | WorkerView) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}
