"""What a person holds: the playground, connections, the executor, settings, the command line."""

from __future__ import annotations

from callboard.playground.connection import connect
from callboard.playground.playground import Playground, TaskProcessingPlayground

__all__ = ["Playground", "TaskProcessingPlayground", "connect"]
