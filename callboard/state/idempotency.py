"""Outcomes remembered under a key, so that what was done once is answered and not done again."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic_core import to_json

from callboard.messages.errors import InvalidSetting, VersionConflict
from callboard.state.layout import lines_of, part, read_lines
from callboard.state.store import ABSENT, Change, Delete, Put, Store
from callboard.state.value import StoredValue, encode

ATTEMPTS = 100
"""How often a step is tried again because somebody else wrote the same key at the same moment."""

SWEEP = 10
"""How many expired outcomes are let go with each one that is remembered."""


@dataclass(slots=True, frozen=True)
class New:
    """The caller holds the lease and is to do the work. ``taken_from`` is the owner whose lease ran out, if one did."""

    taken_from: str | None = None


@dataclass(slots=True, frozen=True)
class InFlight:
    """Somebody else is at it; its lease runs out at ``until``, seconds since the epoch."""

    owner: str
    until: float


@dataclass(slots=True, frozen=True)
class Done:
    """It was done; ``outcome`` is what came of it."""

    outcome: StoredValue


Answer = New | InFlight | Done


def idempotency_key(task_name: str, version: tuple[int, int], inputs: Mapping[str, Any]) -> str:
    """The same text for the same task, version and inputs in every process.

    Inputs are compared by their stored form: the order of dict items and of sets does not count, 1 and 1.0 and True differ.
    Objects that are pickled must pickle alike each time. Raises `CannotStore`.
    """
    tree = json.loads(encode(dict(inputs), f"inputs of task {task_name!r}").text)
    text = to_json([task_name, list(version), _sorted(tree)])
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _sorted(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_sorted(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.keys() == {"$dict"}:
        return {"$dict": sorted((_sorted(pair) for pair in tree["$dict"]), key=to_json)}
    return {key: _sorted(tree[key]) for key in sorted(tree)}


@dataclass(slots=True, frozen=True)
class _Entry:
    """A lease (no outcome yet, valid until ``until``) or an outcome; it may be let go at ``expires``."""

    owner: str
    until: float
    expires: float
    outcome: StoredValue | None = None

    @classmethod
    def read(cls, data: bytes) -> Self:
        header, values = read_lines(data)
        return cls(**header, outcome=StoredValue(values["outcome"]) if values else None)

    def data(self) -> bytes:
        header = {"owner": self.owner, "until": self.until, "expires": self.expires}
        return lines_of(header, {} if self.outcome is None else {"outcome": self.outcome.text})


class Outcomes:
    """Leases and outcomes of a store, each step one transaction. Times are seconds since the epoch, given by the caller.

    An outcome is kept for ``lifetime`` seconds, and there are about ``limit`` at most: each process counts when it has
    remembered a tenth of that anew, and lets the oldest go. Thread-safe.
    """

    def __init__(self, store: Store, *, lifetime: float = 86_400.0, limit: int = 100_000) -> None:
        if not 0 < lifetime < math.inf or limit < 1:
            raise InvalidSetting(f"lifetime must be above 0 seconds and finite, limit at least 1, not {lifetime} and {limit}")
        self._store = store
        self._lifetime = lifetime
        self._limit = limit
        self._finished = itertools.count(1)

    def begin(self, key: str, owner: str, now: float, lease: float) -> Answer:
        """Take the lease on ``key`` for ``lease`` seconds, or learn why not.

        Who owns a lease and begins again has it anew: it is the one that came back. A lease that ran out is taken over.
        """
        if not 0 < lease < math.inf:
            raise InvalidSetting(f"lease must be above 0 seconds and finite, not {lease}")
        for _ in range(ATTEMPTS):
            entry, version = self._read(key)
            taken_from = None
            if entry is not None and entry.outcome is not None and now < entry.expires:
                return Done(entry.outcome)
            if entry is not None and entry.outcome is None and entry.owner != owner:
                if now < entry.until:
                    return InFlight(entry.owner, entry.until)
                taken_from = entry.owner
            if self._write(key, entry, version, _Entry(owner, now + lease, now + lease + self._lifetime)):
                return New(taken_from)
        raise VersionConflict(f"idempotency key {key!r} was changed by others {ATTEMPTS} times in a row")

    def finish(self, key: str, owner: str, outcome: StoredValue, now: float) -> bool:
        """Remember what came of it; False where the lease had gone to somebody else, whose outcome then counts."""
        for _ in range(ATTEMPTS):
            entry, version = self._read(key)
            if entry is not None and now < entry.expires and (entry.outcome is not None or entry.owner != owner):
                return False
            if self._write(key, entry, version, _Entry(owner, now, now + self._lifetime, outcome)):
                self._bound(now)
                return True
        raise VersionConflict(f"idempotency key {key!r} was changed by others {ATTEMPTS} times in a row")

    def abandon(self, key: str, owner: str) -> None:
        """Give the lease back without an outcome, so that the next one may begin at once. Not the owner: nothing happens."""
        entry, version = self._read(key)
        if entry is None or entry.outcome is not None or entry.owner != owner:
            return
        try:
            self._store.transact([Delete(_key(key), version), Delete(_age_key(key, entry))])
        except VersionConflict:  # its time was up, and somebody else has it now
            return

    def forget(self, key: str) -> None:
        """What was done was undone: whoever comes next does it again."""
        for _ in range(ATTEMPTS):
            entry, version = self._read(key)
            if entry is None or entry.outcome is None:
                return
            try:
                self._store.transact([Delete(_key(key), version), Delete(_age_key(key, entry))])
            except VersionConflict:  # somebody changed it this moment
                continue
            return
        raise VersionConflict(f"idempotency key {key!r} was changed by others {ATTEMPTS} times in a row")

    def _read(self, key: str) -> tuple[_Entry | None, int]:
        record = self._store.get(_key(key))
        return (None, ABSENT) if record is None else (_Entry.read(record.value), record.version)

    def _write(self, key: str, old: _Entry | None, version: int, new: _Entry) -> bool:
        changes: list[Change] = [Put(_key(key), new.data(), version), Put(_age_key(key, new), key.encode())]
        if old is not None and _age_key(key, old) != _age_key(key, new):
            changes.append(Delete(_age_key(key, old)))
        try:
            self._store.transact(changes)
        except VersionConflict:
            return False
        return True

    def _bound(self, now: float) -> None:
        """Let go what has expired, a few at a time, and from time to time what is too much."""
        surplus = 0
        if next(self._finished) % max(1, self._limit // 10) == 0:
            surplus = max(0, len(self._store.scan(_AGES)) - self._limit)
        for index, record in enumerate(self._store.scan(_AGES, limit=max(SWEEP, surplus))):
            key = record.value.decode()
            entry, version = self._read(key)
            if entry is None or _age_key(key, entry) != record.key:
                continue  # changed meanwhile, and so was its place in the order
            if entry.expires > now and index >= surplus:
                break
            if entry.expires > now and entry.outcome is None:
                continue  # however many there are, what is being done is not done twice
            try:
                self._store.transact([Delete(_key(key), version), Delete(record.key)])
            except VersionConflict:  # begun anew this moment
                continue


_AGES = "outcome-age/"


def _key(key: str) -> str:
    return f"outcome/{part(key)}"


def _age_key(key: str, entry: _Entry) -> str:
    """Sorts by the time at which an entry may be let go."""
    return f"{_AGES}{int(entry.expires * 1000):016d}/{part(key)}"
