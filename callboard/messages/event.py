"""What happened, as subscribers see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TASK_TOPICS = (
    "task.submitted",
    "task.assigned",
    "task.started",
    "task.progress",
    "task.retrying",
    "task.completed",
    "task.failed",
    "task.cancelled",
    "task.skipped",
)
WORKER_TOPICS = ("worker.joined", "worker.left", "worker.lost")


@dataclass(slots=True, frozen=True)
class Event:
    """One happening. ``time`` is seconds since the epoch; ``sequence`` counts per topic, from 1, without gaps.

    ``task_id``, ``name`` and ``worker`` (a worker's name) are None where they do not apply. ``data`` holds what the
    topic adds: ``fraction`` and ``text`` for progress, ``error`` for failures, the keywords of ``emit``.
    """

    topic: str
    time: float
    sequence: int = 0
    task_id: str | None = None
    name: str | None = None
    worker: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
