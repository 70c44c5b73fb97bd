"""Opening the databases that an `SqlStore` can live in."""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from callboard.messages.errors import InvalidSetting, MissingExtra, StoreUnavailable
from callboard.state.address import without_password
from callboard.state.sql import TABLE, SqlStore, in_words

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

BUSY_SECONDS = 30
"""How long a writer waits for another process's transaction to end before it raises `StoreUnavailable`."""

SYNCHRONOUS = ("normal", "full")

_POOL = {"pool_size": 8, "max_overflow": 0, "pool_timeout": BUSY_SECONDS}

_SQLITE_TABLE = f"CREATE TABLE IF NOT EXISTS {TABLE} (key TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, value BLOB NOT NULL)"
# Keys are ordered by code point in every store, so the database's own language must not meddle.
_POSTGRESQL_TABLE = f'CREATE TABLE IF NOT EXISTS {TABLE} (key TEXT COLLATE "C" PRIMARY KEY, version BIGINT NOT NULL, value BYTEA NOT NULL)'
_ADVISORY_LOCK = 0x63616C6C626F6172


def open_sqlite(url: str) -> SqlStore:
    """The store in a SQLite file, ``sqlite:///relative`` or ``sqlite:////absolute``, made where it does not exist.

    The file is kept in WAL mode. With ``?synchronous=normal``, which is the default, a finished transaction survives the
    death of the process at any moment; a crash of the operating system or a power cut may lose the last transactions,
    always whole ones, and harms nothing else. ``?synchronous=full`` waits for the disk in every transaction and keeps those too.
    """
    path, synchronous = _sqlite_path(url)
    engine = _create_engine("sqlite+pysqlite://", "sql", {"timeout": BUSY_SECONDS, "check_same_thread": False}, path)
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, record: object) -> None:
        cursor = connection.cursor()
        _switch_to_wal(cursor)
        cursor.execute(f"PRAGMA synchronous = {synchronous}")
        cursor.close()

    store = _with_table(engine, _SQLITE_TABLE, None)
    # Also for those who never say close: Python warns of a database that is left open. Not in a fork, whose it is not.
    weakref.finalize(store, _dispose_in, os.getpid(), engine)
    return store


def _dispose_in(pid: int, engine: Engine) -> None:
    if os.getpid() == pid:
        engine.dispose()


def open_postgresql(url: str) -> SqlStore:
    """The store in a PostgreSQL database, through psycopg. What survives is as the server's ``synchronous_commit`` says."""
    from importlib.util import find_spec

    if find_spec("psycopg") is None:
        raise MissingExtra("psycopg", "postgres")
    waits = {
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "options": f"-c lock_timeout={BUSY_SECONDS}s",
    }
    rest = url.partition("://")[2]
    engine = _create_engine(f"postgresql+psycopg://{rest}", "postgres", waits)
    return _with_table(engine, _POSTGRESQL_TABLE, f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """Other statements wait for their turn by themselves, the switch of a new file to WAL does not."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _sqlite_path(url: str) -> tuple[str, str]:
    rest, _, query = url.partition("?")
    path = rest.removeprefix("sqlite:///")
    if path == rest or not path or path == ":memory:":
        raise InvalidSetting(f"a SQLite store is 'sqlite:///path'; for one that is only in memory say 'memory:', not {url!r}")
    options = dict(parse_qsl(query, keep_blank_values=True))
    synchronous = options.pop("synchronous", "normal")
    if options or synchronous not in SYNCHRONOUS:
        raise InvalidSetting(f"the one option of a SQLite store is synchronous={' or '.join(SYNCHRONOUS)}, not {query!r}")
    folder = os.path.dirname(path)
    if folder and not os.path.isdir(folder):
        raise InvalidSetting(f"the folder of the store {url!r} does not exist")
    return path, synchronous


def _create_engine(url: str, extra: str, connect_args: dict[str, Any], path: str | None = None) -> Engine:
    try:
        from sqlalchemy import create_engine, make_url
        from sqlalchemy.exc import ArgumentError
    except ImportError as error:
        raise MissingExtra("sqlalchemy", extra) from error
    try:
        address = make_url(url) if path is None else make_url(url).set(database=path)
    except (ArgumentError, ValueError):
        raise InvalidSetting(f"{without_password(url)!r} is no URL of a database") from None
    # Transactions are begun and ended by our own words: pysqlite's begin late, and readings need none.
    return create_engine(address, isolation_level="AUTOCOMMIT", **_POOL, connect_args=connect_args)


def _with_table(engine: Engine, table: str, lock: str | None) -> SqlStore:
    from sqlalchemy import inspect
    from sqlalchemy.exc import SQLAlchemyError

    def create(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")
        if lock is not None:  # PostgreSQL's IF NOT EXISTS alone fails where two say it at once
            connection.exec_driver_sql(lock)
        connection.exec_driver_sql(table)
        connection.exec_driver_sql("COMMIT")

    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table(TABLE):
                create(connection)
    except SQLAlchemyError as error:
        engine.dispose()
        raise StoreUnavailable(f"the store {engine.url!r} cannot be opened: {in_words(error)}") from error
    return SqlStore(engine)
