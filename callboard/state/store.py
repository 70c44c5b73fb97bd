"""What every place where state is kept can do: versioned bytes under keys, and transactions of many."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from callboard.messages.errors import CannotStore, InvalidSetting, VersionConflict

ABSENT = 0
"""As an expected version: there must be no such record."""

MAX_KEY = 1024
"""Bytes of UTF-8 that a key may have; PostgreSQL's index takes little more."""

_random = random.SystemRandom()


class Record(NamedTuple):
    """What stands under a key. The version is that of the transaction that wrote it."""

    key: str
    value: bytes
    version: int


class Put(NamedTuple):
    """Write ``value``: whatever stands there (``expected=None``), over one version only, or where nothing is (`ABSENT`)."""

    key: str
    value: bytes
    expected: int | None = None


class Delete(NamedTuple):
    """Remove what stands there, if anything (``expected=None``), or one version only."""

    key: str
    expected: int | None = None


Change = Put | Delete


class Store(Protocol):
    """Keys are texts, ordered by code point; values are bytes.

    Every transaction has a version of its own, a number that no other transaction bears; it says nothing about order.
    Since it is never used again, a record that was deleted and written anew cannot be mistaken for the old one.
    Safe to use from several threads; SQL and Redis stores from several processes at once. Every method may raise
    `StoreUnavailable`; what was being written is then there completely or not at all.
    """

    def get(self, key: str) -> Record | None:
        """The record of a key, None where there is none."""
        ...

    def scan(self, prefix: str = "", after: str | None = None, limit: int | None = None) -> list[Record]:
        """The records whose keys begin with ``prefix``, in the order of keys; those above ``after``, ``limit`` at most."""
        ...

    def transact(self, changes: Sequence[Change]) -> int:
        """Carry out all changes or none; return the version that all written records now bear.

        Raises `VersionConflict` when an expected version does not stand there, with nothing written. A key may occur
        once only.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections. Closing twice does nothing; what comes after raises `StoreUnavailable`."""
        ...

    def put(self, key: str, value: bytes, expected: int | None = None) -> int:
        """Write one record and return its version; see `Put`."""
        return self.transact((Put(key, value, expected),))

    def delete(self, key: str, expected: int | None = None) -> None:
        """Remove one record; see `Delete`."""
        self.transact((Delete(key, expected),))


def fresh_version() -> int:
    """A version that no transaction ever bore: 62 random bits, never zero, so that it fits a signed 64-bit column."""
    return _random.getrandbits(62) | 1


def check_key(key: str) -> None:
    """Refuse what no store could keep something under, so that all of them refuse alike."""
    if type(key) is str and key.isascii() and 0 < len(key) <= MAX_KEY and "\0" not in key:
        return  # nearly every key
    size = _size(key, "a key")
    if not 0 < size <= MAX_KEY:
        raise CannotStore(f"a key must have 1 to {MAX_KEY} bytes; {key[:80]!r} has {size}")


def _size(text: str, what: str) -> int:
    try:
        size = len(text.encode())
    except (UnicodeEncodeError, AttributeError) as error:
        raise CannotStore(f"{what} must be a text that UTF-8 can encode, not {text!r}") from error
    if "\0" in text:
        raise CannotStore(f"{what} must hold no NUL; {text[:80]!r} does")
    return size


def check_changes(changes: Sequence[Change]) -> None:
    """Refuse what no store could carry out."""
    keys = {change.key for change in changes}
    for change in changes:
        if type(change) is Put:
            if not isinstance(change.value, bytes):
                raise CannotStore(f"the value of {change.key!r} must be bytes, not {type(change.value).__name__}")
        elif change.expected == ABSENT:
            raise InvalidSetting(f"delete of {change.key!r}: what is expected to be absent cannot be deleted")
    for key in keys:
        check_key(key)
    if len(keys) < len(changes):
        raise InvalidSetting("a transaction names a key twice")


class Range(NamedTuple):
    """Keys from ``low`` on and below ``high`` (None: to the end)."""

    low: str
    high: str | None


def scan_range(prefix: str, after: str | None, limit: int | None) -> Range:
    """What a scan looks at. Raises where no key could match for a reason that is a mistake."""
    _size(prefix, "a prefix")
    if limit is not None and limit < 0:
        raise InvalidSetting(f"limit must be 0 or more, not {limit}")
    if after is None or after < prefix:
        return Range(prefix, end_of(prefix))
    _size(after, "after")
    # No key holds a NUL, so this is the least that can follow.
    return Range(after + "\1", end_of(prefix))


def conflict(key: str, expected: int) -> VersionConflict:
    """The error that tells which record was not as expected."""
    if expected == ABSENT:
        return VersionConflict(f"record {key!r} exists already; nothing was written")
    return VersionConflict(f"record {key!r} was changed or deleted by somebody else since it was read; nothing was written")


def end_of(prefix: str) -> str | None:
    """The least text above all that begin with ``prefix``; None where there is none."""
    while prefix:
        code = ord(prefix[-1]) + 1
        prefix = prefix[:-1]
        if code <= 0x10FFFF:
            # Surrogates cannot be encoded, so that the text after U+D7FF is U+E000.
            return prefix + chr(0xE000 if 0xD800 <= code <= 0xDFFF else code)
    return None
