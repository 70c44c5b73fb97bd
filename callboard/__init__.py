"""An event-driven actor system: tasks for skill-tagged worker processes, over ZeroMQ.

Names are resolved at first use, so that a worker process imports only what it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from callboard.actors import ProcessRequest, ProcessWorker, TaskHandle
    from callboard.engines import AsyncExecutor, DistributedExecutor, ParallelExecutor, SyncExecutor
    from callboard.events import EventEmitter
    from callboard.flows import CompositeTask, FanOutFanInPattern, Task, task
    from callboard.gather import Aggregator
    from callboard.messages import Event, TaskResult, TaskStatus
    from callboard.messages.errors import (
        AlreadyPlaying,
        AmbiguousDependency,
        BacklogFull,
        CallboardError,
        CannotBind,
        CannotConnect,
        CannotPickle,
        CannotStore,
        CannotWrite,
        ChainTooDeep,
        CircuitOpen,
        DependencyCycle,
        DuplicateAtom,
        DuplicateTask,
        FlowCancelled,
        FlowError,
        FlowFailed,
        FlowSuspended,
        GroupFailed,
        IllegalTransition,
        InvalidFlow,
        InvalidSetting,
        InvalidTask,
        InvalidWorker,
        MissingDependencies,
        MissingExtra,
        NoCapableWorker,
        NoRequest,
        OutputReleased,
        PayloadTooLarge,
        PlaygroundClosed,
        QuorumNotReached,
        Refused,
        SignalTimedOut,
        StoreError,
        StoreUnavailable,
        TaskCancelled,
        TaskError,
        TaskFailed,
        TaskSkipped,
        TaskTimedOut,
        TypeMismatch,
        UnknownDependency,
        UnknownRecord,
        UnknownTask,
        UnknownValue,
        VersionConflict,
        WireError,
        WorkerDied,
        WorkerLost,
        WorkerStartFailed,
    )
    from callboard.playground import Playground, TaskProcessingPlayground, connect
    from callboard.resilience import CircuitBreaker, RetryPolicy
    from callboard.state import StateManager

__version__ = "0.1.0"

__all__ = [
    "Aggregator",
    "AlreadyPlaying",
    "AmbiguousDependency",
    "AsyncExecutor",
    "BacklogFull",
    "CallboardError",
    "CannotBind",
    "CannotConnect",
    "CannotPickle",
    "CannotStore",
    "CannotWrite",
    "ChainTooDeep",
    "CircuitBreaker",
    "CircuitOpen",
    "CompositeTask",
    "DependencyCycle",
    "DistributedExecutor",
    "DuplicateAtom",
    "DuplicateTask",
    "Event",
    "EventEmitter",
    "FanOutFanInPattern",
    "FlowCancelled",
    "FlowError",
    "FlowFailed",
    "FlowSuspended",
    "GroupFailed",
    "IllegalTransition",
    "InvalidFlow",
    "InvalidSetting",
    "InvalidTask",
    "InvalidWorker",
    "MissingDependencies",
    "MissingExtra",
    "NoCapableWorker",
    "NoRequest",
    "OutputReleased",
    "ParallelExecutor",
    "PayloadTooLarge",
    "Playground",
    "PlaygroundClosed",
    "ProcessRequest",
    "ProcessWorker",
    "QuorumNotReached",
    "Refused",
    "RetryPolicy",
    "SignalTimedOut",
    "StateManager",
    "StoreError",
    "StoreUnavailable",
    "SyncExecutor",
    "Task",
    "TaskCancelled",
    "TaskError",
    "TaskFailed",
    "TaskHandle",
    "TaskProcessingPlayground",
    "TaskResult",
    "TaskSkipped",
    "TaskStatus",
    "TaskTimedOut",
    "TypeMismatch",
    "UnknownDependency",
    "UnknownRecord",
    "UnknownTask",
    "UnknownValue",
    "VersionConflict",
    "WireError",
    "WorkerDied",
    "WorkerLost",
    "WorkerStartFailed",
    "connect",
    "task",
]

_HOME = {
    "Aggregator": "gather",
    "AsyncExecutor": "engines",
    "CircuitBreaker": "resilience",
    "CompositeTask": "flows",
    "DistributedExecutor": "engines",
    "Event": "messages",
    "EventEmitter": "events",
    "FanOutFanInPattern": "flows",
    "ParallelExecutor": "engines",
    "Playground": "playground",
    "ProcessRequest": "actors",
    "ProcessWorker": "actors",
    "RetryPolicy": "resilience",
    "StateManager": "state",
    "SyncExecutor": "engines",
    "Task": "flows",
    "TaskHandle": "actors",
    "TaskProcessingPlayground": "playground",
    "TaskResult": "messages",
    "TaskStatus": "messages",
    "connect": "playground",
    "task": "flows",
}
"""Which folder a name comes from; what is not here is an error of `messages.errors`."""


if not TYPE_CHECKING:  # or a type checker would take any name for one of ours

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module 'callboard' has no attribute {name!r}")
        value = getattr(import_module(f"callboard.{_HOME.get(name, 'messages.errors')}"), name)
        globals()[name] = value  # the next look finds it without coming here
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
