"""State in one table of an SQL database, through SQLAlchemy's core: SQLite in a file, or PostgreSQL by URL."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from callboard.messages.errors import StoreUnavailable
from callboard.state.store import ABSENT, Change, Delete, Put, Record, Store, check_changes, check_key, conflict, fresh_version, scan_range

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, TextClause
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

TABLE = "callboard_records"

ATTEMPTS = 5
"""How often a transaction is begun that PostgreSQL undoes because it and another waited for each other."""

NO_LIMIT = 2**62

_DEADLOCKS = frozenset({"40001", "40P01"})

_SELECT = f"SELECT key, value, version FROM {TABLE}"
_INSERT = f"INSERT INTO {TABLE} (key, value, version) VALUES (:key, :value, :version)"
_STATEMENTS = {
    "get": f"{_SELECT} WHERE key = :key",
    "scan": f"{_SELECT} WHERE key >= :low AND key < :high ORDER BY key LIMIT :limit",
    "scan_on": f"{_SELECT} WHERE key >= :low ORDER BY key LIMIT :limit",
    "put": f"{_INSERT} ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = excluded.version",
    "insert": f"{_INSERT} ON CONFLICT (key) DO NOTHING",
    "update": f"UPDATE {TABLE} SET value = :value, version = :version WHERE key = :key AND version = :expected",
    "delete": f"DELETE FROM {TABLE} WHERE key = :key",
    "delete_version": f"DELETE FROM {TABLE} WHERE key = :key AND version = :expected",
}

Result = TypeVar("Result")


class SqlStore(Store):
    """Keeps all records in the table ``callboard_records``. Made by `open_sqlite` and `open_postgresql`.

    Several threads and several processes may use the database at once. After a fork the child opens connections of its own.
    """

    def __init__(self, engine: Engine) -> None:
        from sqlalchemy import text

        self._engine = engine
        self._statements: dict[str, TextClause] = {name: text(statement) for name, statement in _STATEMENTS.items()}
        self._pid = os.getpid()
        self._closed = False

    def get(self, key: str) -> Record | None:
        check_key(key)
        found = self._select("get", {"key": key})
        return found[0] if found else None

    def scan(self, prefix: str = "", after: str | None = None, limit: int | None = None) -> list[Record]:
        low, high = scan_range(prefix, after, limit)
        bounds = {"low": low, "limit": NO_LIMIT if limit is None else limit}
        return self._select("scan_on", bounds) if high is None else self._select("scan", {**bounds, "high": high})

    def transact(self, changes: Sequence[Change]) -> int:
        check_changes(changes)
        version = fresh_version()
        # One order for all writers, so that two of them seldom wait for each other.
        ordered = sorted(changes, key=lambda change: change.key)
        self._attempt(lambda connection: self._write(connection, ordered, version))
        return version

    def close(self) -> None:
        self._closed = True
        self._engine.dispose()

    def _select(self, statement: str, values: dict[str, Any]) -> list[Record]:
        def read(connection: Connection) -> list[Record]:
            rows = connection.execute(self._statements[statement], values)
            return [Record(key, value, version) for key, value, version in rows]

        return self._attempt(read)

    def _write(self, connection: Connection, changes: Sequence[Change], version: int) -> None:
        # It begins with a write, never with a read: after one, SQLite could not wait for another writer any more.
        connection.exec_driver_sql("BEGIN")
        puts, deletes = [], []
        for change in changes:
            if change.expected is not None:
                self._write_expecting(connection, change, change.expected, version)
            elif isinstance(change, Put):
                puts.append({"key": change.key, "value": change.value, "version": version})
            else:
                deletes.append({"key": change.key})
        if puts:
            connection.execute(self._statements["put"], puts)
        if deletes:
            connection.execute(self._statements["delete"], deletes)
        # Where this is not reached, the pool rolls back what it gets back.
        connection.exec_driver_sql("COMMIT")

    def _write_expecting(self, connection: Connection, change: Change, expected: int, version: int) -> None:
        values: dict[str, Any] = {"key": change.key}
        if expected != ABSENT:
            values["expected"] = expected
        if isinstance(change, Delete):
            statement = "delete_version"
        else:
            values |= {"value": change.value, "version": version}
            statement = "insert" if expected == ABSENT else "update"
        if connection.execute(self._statements[statement], values).rowcount != 1:
            raise conflict(change.key, expected)

    def _attempt(self, work: Callable[[Connection], Result]) -> Result:
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError

        if self._closed:
            raise StoreUnavailable(f"the store {self._engine.url!r} is closed")
        if self._pid != os.getpid():
            # Connections cannot be shared with the parent; they stay open there.
            self._engine.dispose(close=False)
            self._pid = os.getpid()
        attempt = 1
        while True:
            try:
                with self._engine.connect() as connection:
                    return work(connection)
            except SQLAlchemyError as error:
                if attempt < ATTEMPTS and isinstance(error, DBAPIError) and _may_repeat(error):
                    attempt += 1
                    continue
                raise StoreUnavailable(f"the store {self._engine.url!r} refuses: {in_words(error)}") from error


def in_words(error: SQLAlchemyError) -> str:
    """What the database said, in one line and without the statement."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


def _may_repeat(error: DBAPIError) -> bool:
    if getattr(error.orig, "sqlstate", None) in _DEADLOCKS:
        return True
    # The server went and came back: safe to say again, unless something may have been written.
    return error.connection_invalidated and (error.statement or "").startswith(("BEGIN", "SELECT"))
