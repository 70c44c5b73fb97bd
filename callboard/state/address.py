"""Which store a URL names."""

from __future__ import annotations

from callboard.messages.errors import InvalidSetting
from callboard.state.memory import MemoryStore
from callboard.state.store import Store

KNOWN = "'memory:', 'sqlite:///path', 'postgresql://user@host/database' or 'redis://host:port/0'"


def open_store(url: str) -> Store:
    """Open the store that ``url`` names; what the store needs is imported now, `MissingExtra` says what is missing.

    ``memory:`` is a store of its own each time. ``sqlite:///path`` takes ``?synchronous=full`` (see `SqlStore`).
    """
    if url == "memory:":
        return MemoryStore()
    raise InvalidSetting(f"a store is {KNOWN}, not {url!r}")
