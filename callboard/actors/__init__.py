"""Who acts: the TaskManager, workers, clients, the event bus, aggregators, and the supervisor of local processes.

The only folder that imports pykka and zmq. Names are loaded when they are first used, so that a worker process imports
no more than it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from callboard.actors.handle import TaskHandle
    from callboard.actors.manager import TaskManager
    from callboard.actors.request import ProcessRequest
    from callboard.actors.worker import ProcessWorker

__all__ = ["ProcessRequest", "ProcessWorker", "TaskHandle", "TaskManager"]

_HOMES = {"ProcessRequest": "request", "ProcessWorker": "worker", "TaskHandle": "handle", "TaskManager": "manager"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
