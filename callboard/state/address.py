"""Which store a URL names."""

from __future__ import annotations

import re

from callboard.messages.errors import InvalidSetting
from callboard.state.memory import MemoryStore
from callboard.state.store import Store

KNOWN = "'memory:', 'sqlite:///path', 'postgresql://user@host/database' or 'redis://host:port/0'"


def open_store(url: str) -> Store:
    """Open the store that ``url`` names; what the store needs is imported now, `MissingExtra` says what is missing.

    ``memory:`` is a store of its own each time. What each promises to keep stands at `open_sqlite`, `open_postgresql` and
    `RedisStore`.
    """
    if url == "memory:":
        return MemoryStore()
    scheme, found, _ = url.partition("://")
    match scheme if found else None:
        case "sqlite":
            from callboard.state.database import open_sqlite

            return open_sqlite(url)
        case "postgresql" | "postgresql+psycopg":
            from callboard.state.database import open_postgresql

            return open_postgresql(url)
        case "redis" | "rediss":
            from callboard.state.redis import open_redis

            return open_redis(url)
    raise InvalidSetting(f"a store is {KNOWN}, not {without_password(url)!r}")


def without_password(url: str) -> str:
    """The URL as it may stand in a message."""
    return re.sub(r"(?<=://)([^/@:]*):.*@", r"\1:***@", url)
