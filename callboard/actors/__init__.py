"""Who acts: the TaskManager, workers, clients, the event bus, aggregators, and the supervisor of local processes.

The only folder that imports pykka and zmq. Names are loaded when they are first used, so that a worker process imports
no more than it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callboard.messages.lookup import lookup

if TYPE_CHECKING:
    from callboard.actors.handle import TaskHandle
    from callboard.actors.manager import TaskManager
    from callboard.actors.request import ProcessRequest
    from callboard.actors.worker import ProcessWorker

__all__ = ["ProcessRequest", "ProcessWorker", "TaskHandle", "TaskManager"]

_HOMES = {"ProcessRequest": "request", "ProcessWorker": "worker", "TaskHandle": "handle", "TaskManager": "manager"}

if not TYPE_CHECKING:
    __getattr__ = lookup(__name__, _HOMES)
