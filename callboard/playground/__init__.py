"""What a person holds: the playground, connections, the executor, settings, the command line.

Names are loaded when they are first used, so that the command line can hear Ctrl-C before everything is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callboard.messages.lookup import lookup

if TYPE_CHECKING:
    from callboard.playground.connection import connect
    from callboard.playground.playground import Playground, TaskProcessingPlayground

__all__ = ["Playground", "TaskProcessingPlayground", "connect"]

_HOMES = {"Playground": "playground", "TaskProcessingPlayground": "playground", "connect": "connection"}

if not TYPE_CHECKING:
    __getattr__ = lookup(__name__, _HOMES)
