"""Tasks that were submitted because another one names them, before anybody submitted them for their own sake."""

from __future__ import annotations

import weakref
from typing import Any

from callboard.actors.handle import TaskHandle


class Forerunners:
    """Keeps their handles, so that submitting such a task afterwards gives the one it has and does not run it twice.

    By identity, for as long as the task object lives. Thread-safe: each step is one operation of a dictionary.
    """

    def __init__(self) -> None:
        self.kept: dict[int, tuple[weakref.ref[Any], TaskHandle]] = {}
        """Seldom any, which who submits a task looks at first."""

    def keep(self, task: Any, handle: TaskHandle) -> None:
        """The task was submitted on another's account."""
        key, kept = id(task), self.kept
        kept[key] = weakref.ref(task, lambda _: kept.pop(key, None)), handle

    def holds(self, task: Any) -> bool:
        """Whether it is such a task."""
        kept = self.kept.get(id(task))
        return kept is not None and kept[0]() is task

    def take(self, task: Any) -> TaskHandle | None:
        """The handle of such a task, once; None for any other."""
        kept = self.kept.get(id(task))
        if kept is None or kept[0]() is not task or self.kept.pop(id(task), None) is None:
            return None
        return kept[1]
