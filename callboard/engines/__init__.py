"""How a flow is carried out: executors around the one pure machine."""

from callboard.engines.aio import AsyncExecutor
from callboard.engines.distributed import DistributedExecutor
from callboard.engines.executor import Executor
from callboard.engines.listener import (
    CaptureListener,
    CheckingListener,
    Listener,
    LoggingListener,
    PrintingListener,
    TimingListener,
)
from callboard.engines.notifier import ANY, Notifier
from callboard.engines.parallel import ParallelExecutor
from callboard.engines.phase import Phase
from callboard.engines.result import FlowResult
from callboard.engines.run import FlowRun
from callboard.engines.shortcut import run
from callboard.engines.sync import SyncExecutor

__all__ = [
    "ANY",
    "AsyncExecutor",
    "CaptureListener",
    "CheckingListener",
    "DistributedExecutor",
    "Executor",
    "FlowResult",
    "FlowRun",
    "Listener",
    "LoggingListener",
    "Notifier",
    "ParallelExecutor",
    "Phase",
    "PrintingListener",
    "SyncExecutor",
    "TimingListener",
    "run",
]
