"""The worker that a person writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from callboard.messages.errors import InvalidWorker

if TYPE_CHECKING:
    from pathlib import Path

    from callboard.actors.request import ProcessRequest


class ProcessWorker:
    """A worker with a role and skills, which runs in a process of its own.

    Override `process`, plain or async, or ``async _processor(request, time)``. It is built where the script runs and
    carried to its process, where `on_start` is called before the first task and `on_stop` after the last.

    ``name`` is a label for people; two workers may share one. ``role`` is what tasks name as their ``processor``.
    ``skills`` is a set of tags (level 1) or ``{tag: level}``. ``slots`` is how many tasks it runs at once, in as many
    threads. Raises `InvalidWorker`.
    """

    def __init__(self, name: str, role: str = "worker", *, skills: Mapping[str, int] | Iterable[str] | None = None, slots: int = 1) -> None:
        if not isinstance(name, str) or not name:
            raise InvalidWorker(f"a worker's name must be a non-empty string, not {name!r}")
        if not isinstance(role, str) or not role:
            raise InvalidWorker(f"the role of worker {name!r} must be a non-empty string, not {role!r}")
        if not isinstance(slots, int) or isinstance(slots, bool) or slots < 1:
            raise InvalidWorker(f"worker {name!r} needs at least one slot, not {slots!r}")
        self.name = name
        self.role = role
        self.skills = levels(skills, f"worker {name!r}")
        self.slots = slots

    def process(self, request: ProcessRequest) -> Any:
        """Do one task. What it returns is the output, what it raises is the failure. May be ``async``."""
        raise NotImplementedError(f"worker {self.name!r} ({type(self).__name__}) has no process(request) for role {self.role!r}")

    def on_start(self) -> None:
        """Called in the worker's process before it joins. What it raises keeps the worker from joining."""

    def on_stop(self) -> None:
        """Called in the worker's process when it ends in order."""

    def join(self, address: str, *, key: str | Path | None = None) -> None:
        """Work for the manager at ``address`` (``tcp://HOST:PORT``) in this process until it ends or SIGTERM comes.

        ``key`` is a connection file; without it the one that this user's manager left for the address is used. Raises
        `CannotConnect` or `Refused`.
        """
        from callboard.actors.hosting import serve

        serve(self, address, key)


def levels(skills: Mapping[str, int] | Iterable[str] | None, whose: str) -> dict[str, int]:
    """Skills as ``{tag: level}``; raises `InvalidWorker` naming ``whose`` they are."""
    if skills is None:
        return {}
    if isinstance(skills, str) or not isinstance(skills, Iterable):
        raise InvalidWorker(f"the skills of {whose} must be a set of tags or {{tag: level}}, not {skills!r}")
    found = dict(skills) if isinstance(skills, Mapping) else dict.fromkeys(skills, 1)
    for tag, level in found.items():
        if not isinstance(tag, str) or not tag or not isinstance(level, int) or isinstance(level, bool) or level < 0:
            raise InvalidWorker(f"the skills of {whose} must map tags to whole levels, not {tag!r} to {level!r}")
    return found
