"""Named states: values that a program keeps under a name, with the versions that came before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from callboard.messages.errors import UnknownRecord, VersionConflict
from callboard.state.layout import lines_of, part, read_lines, whole
from callboard.state.record import Saved
from callboard.state.store import ABSENT, Change, Delete, Put, Record, Store
from callboard.state.value import StoredValue, encode

KEPT_VERSIONS = 100
"""How many versions of a named state are kept, the present one included; older ones are let go as new ones come."""

ATTEMPTS = 100
"""How often a save that minds no version begins anew because somebody else was faster."""


class NamedStates:
    """Keeps each version under a key of its own, and the number of the newest beside them. Thread-safe as its store is."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    def save(self, name: str, value: Any, expected: int | None) -> int:
        """See `StateManager.save`."""
        stored = encode(value, f"state {name!r}")
        for _ in range(ATTEMPTS):
            newest = self._store.get(_newest_key(name))
            version = 0 if newest is None else int(newest.value)
            if expected is not None and expected != version:
                raise VersionConflict(f"state {name!r} is at version {version}, not at {expected}; nothing was saved")
            try:
                self._store.transact(self._changes(name, stored, version + 1, newest))
            except VersionConflict:
                continue
            return version + 1
        raise VersionConflict(f"state {name!r} was changed by others {ATTEMPTS} times while it was to be saved")

    def _changes(self, name: str, stored: StoredValue, version: int, newest: Record | None) -> list[Change]:
        data = lines_of({"name": name, "version": version, "time": self._clock()}, {"value": stored.text})
        changes: list[Change] = [
            Put(_newest_key(name), str(version).encode(), ABSENT if newest is None else newest.version),
            Put(_version_key(name, version), data),
        ]
        if version > KEPT_VERSIONS:
            changes.append(Delete(_version_key(name, version - KEPT_VERSIONS)))
        return changes

    def load(self, name: str, version: int | None) -> Saved:
        """See `StateManager.load`."""
        newest = self._store.get(_newest_key(name))
        if newest is None:
            raise UnknownRecord("state", name)
        wanted = int(newest.value) if version is None else version
        record = self._store.get(_version_key(name, wanted))
        if record is None:
            raise UnknownRecord(f"version {wanted} of state", name)
        return _read(record.value)

    def versions(self, name: str) -> list[Saved]:
        """See `StateManager.versions`."""
        return [_read(record.value) for record in self._store.scan(_version_prefix(name))]

    def names(self, prefix: str) -> list[str]:
        """See `StateManager.names`."""
        return sorted(whole(record.key.removeprefix("state/")) for record in self._store.scan(_newest_key(prefix)))

    def forget(self, name: str) -> bool:
        """See `StateManager.forget`."""
        for _ in range(ATTEMPTS):
            newest = self._store.get(_newest_key(name))
            if newest is None:
                return False
            versions = [Delete(record.key) for record in self._store.scan(_version_prefix(name))]
            try:
                self._store.transact([Delete(newest.key, newest.version), *versions])
            except VersionConflict:
                continue
            return True
        raise VersionConflict(f"state {name!r} was changed by others {ATTEMPTS} times while it was to be forgotten")


def _newest_key(name: str) -> str:
    return f"state/{part(name)}"


def _version_prefix(name: str) -> str:
    return f"saved/{part(name)}/"


def _version_key(name: str, version: int) -> str:
    return f"{_version_prefix(name)}{version:012d}"


def _read(data: bytes) -> Saved:
    header, values = read_lines(data)
    return Saved(**header, value=StoredValue(values["value"]))
