"""State in this process's memory: for tests, and for runs that need not outlive it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import count, islice

from sortedcontainers import SortedSet

from callboard.messages.errors import StoreUnavailable
from callboard.state.store import ABSENT, Change, Put, Record, Store, check_changes, check_key, conflict, scan_range


class MemoryStore(Store):
    """A dict behind a lock. What it is given is bytes already, so nothing is shared with the writer.

    Keys are put in order when somebody scans, those that came since the last time all at once.
    """

    def __init__(self) -> None:
        self._records: dict[str, tuple[bytes, int]] = {}
        self._ordered: SortedSet[str] = SortedSet()
        self._unordered: list[str] = []
        self._versions = count(ABSENT + 1)
        self._lock = threading.Lock()
        self._closed = False

    def get(self, key: str) -> Record | None:
        check_key(key)
        with self._lock:
            self._check_open()
            found = self._records.get(key)
            return None if found is None else Record(key, *found)

    def scan(self, prefix: str = "", after: str | None = None, limit: int | None = None) -> list[Record]:
        low, high = scan_range(prefix, after, limit)
        if high is not None and high <= low:
            return []
        with self._lock:
            self._check_open()
            self._put_in_order()
            keys = self._ordered.irange(low, high, inclusive=(True, False))
            return [Record(key, *self._records[key]) for key in islice(keys, limit)]

    def transact(self, changes: Sequence[Change]) -> int:
        check_changes(changes)
        with self._lock:
            self._check_open()
            records = self._records
            for change in changes:
                if change.expected is not None:
                    found = records.get(change.key)
                    if change.expected != (ABSENT if found is None else found[1]):
                        raise conflict(change.key, change.expected)
            version = next(self._versions)
            for change in changes:
                key = change.key
                if type(change) is Put:
                    if key not in records:
                        self._unordered.append(key)
                    records[key] = (change.value, version)
                elif records.pop(key, None) is not None:
                    self._put_in_order()
                    self._ordered.remove(key)
        return version

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._records.clear()
            self._ordered.clear()
            self._unordered.clear()

    def _put_in_order(self) -> None:
        if self._unordered:
            self._ordered.update(self._unordered)
            self._unordered.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the memory store is closed")
