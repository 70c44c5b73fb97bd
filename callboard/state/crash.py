"""For testers: a process that kills itself at a chosen write, so that resumption can be tried at every one of them.

``CALLBOARD_CRASH_AT=7`` ends the process by SIGKILL right before its seventh transaction is handed to the store,
``7+`` right after the store has taken it. Every `StateManager` counts into the same count. Unset, it costs nothing.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
from collections.abc import Sequence

from callboard.messages.errors import InvalidSetting
from callboard.state.store import Change, Record, Store

VARIABLE = "CALLBOARD_CRASH_AT"

_writes = itertools.count(1)


class CrashingStore(Store):
    """Passes everything on to ``store`` until the write that is never survived."""

    def __init__(self, store: Store, crash_at: str) -> None:
        if not re.fullmatch(r"[1-9][0-9]*\+?", crash_at):
            raise InvalidSetting(f"{VARIABLE} must be the number of a write, with a + for after it, not {crash_at!r}")
        self._store = store
        self._at = int(crash_at.rstrip("+"))
        self._after = crash_at.endswith("+")

    def get(self, key: str) -> Record | None:
        return self._store.get(key)

    def scan(self, prefix: str = "", after: str | None = None, limit: int | None = None) -> list[Record]:
        return self._store.scan(prefix, after, limit)

    def transact(self, changes: Sequence[Change]) -> int:
        fatal = next(_writes) == self._at
        if fatal and not self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        version = self._store.transact(changes)
        if fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return version

    def close(self) -> None:
        self._store.close()


def with_crash_point(store: Store) -> Store:
    """The store as it is, unless the environment asks for a crash."""
    crash_at = os.environ.get(VARIABLE)
    return CrashingStore(store, crash_at) if crash_at else store
