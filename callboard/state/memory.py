"""State in this process's memory: for tests, and for runs that need not outlive it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import islice

from sortedcontainers import SortedDict

from callboard.messages.errors import StoreUnavailable
from callboard.state.store import ABSENT, Change, Put, Record, Store, check_changes, check_key, conflict, fresh_version, scan_range


class MemoryStore(Store):
    """A sorted dict behind a lock. What it is given is bytes already, so nothing is shared with the writer."""

    def __init__(self) -> None:
        self._records: SortedDict[str, Record] = SortedDict()
        self._lock = threading.Lock()
        self._closed = False

    def get(self, key: str) -> Record | None:
        check_key(key)
        with self._lock:
            self._check_open()
            record: Record | None = self._records.get(key)
            return record

    def scan(self, prefix: str = "", after: str | None = None, limit: int | None = None) -> list[Record]:
        low, high = scan_range(prefix, after, limit)
        if high is not None and high <= low:
            return []
        with self._lock:
            self._check_open()
            keys = self._records.irange(low, high, inclusive=(True, False))
            return [self._records[key] for key in islice(keys, limit)]

    def transact(self, changes: Sequence[Change]) -> int:
        check_changes(changes)
        version = fresh_version()
        with self._lock:
            self._check_open()
            records = self._records
            for key, expected in ((change.key, change.expected) for change in changes if change.expected is not None):
                found = records.get(key)
                if expected != (ABSENT if found is None else found.version):
                    raise conflict(key, expected)
            for change in changes:
                if isinstance(change, Put):
                    records[change.key] = Record(change.key, change.value, version)
                else:
                    records.pop(change.key, None)
        return version

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._records.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the memory store is closed")
