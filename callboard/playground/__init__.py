"""What a person holds: the playground, connections, the executor, settings, the command line.

Names are loaded when they are first used, so that the command line can hear Ctrl-C before everything is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from callboard.playground.connection import connect
    from callboard.playground.playground import Playground, TaskProcessingPlayground

__all__ = ["Playground", "TaskProcessingPlayground", "connect"]

_HOMES = {"Playground": "playground", "TaskProcessingPlayground": "playground", "connect": "connection"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
