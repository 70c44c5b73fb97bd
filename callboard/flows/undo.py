"""A revert that travels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callboard.flows.task import Task


class Undo(Task):
    """Undoes another task with ``arguments``, on a worker that could have executed it."""

    def __init__(self, task: Task, arguments: Mapping[str, Any]) -> None:
        super().__init__(task.name, task.processor, skills=task.skills, priority=task.priority, expires_in=task.expires_in)
        self.task = task
        self.arguments = dict(arguments)

    def execute(self, *args: Any, **inputs: Any) -> Any:
        """Undo."""
        return self.task.undo(self.arguments)
