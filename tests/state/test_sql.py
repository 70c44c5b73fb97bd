"""What is special about the SQL stores: durability, waiting, forks, servers that go away."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from callboard.messages.errors import StoreUnavailable
from callboard.state import database
from callboard.state.address import open_store
from callboard.state.sql import SqlStore
from callboard.state.store import Put
from tests.state.program import ROOT, run_program
from tests.state.server import PostgresServer, wipe_postgres


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def pragma(store: SqlStore, name: str) -> object:
    with store._engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


@pytest.mark.parametrize(("query", "level"), [("", 1), ("?synchronous=normal", 1), ("?synchronous=full", 2)])
def test_sqlite_is_as_durable_as_was_asked(path: Path, query: str, level: int) -> None:
    store = open_store(f"sqlite:///{path}{query}")
    assert isinstance(store, SqlStore)
    assert pragma(store, "journal_mode") == "wal"
    assert pragma(store, "synchronous") == level
    store.close()


def test_a_relative_path_and_odd_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("state.db", "my state%20ü.db"):
        store = open_store(f"sqlite:///{name}")
        store.put("k", b"1")
        store.close()
        assert (tmp_path / name).exists()


def test_closing_leaves_one_file(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    store.put("k", b"1")
    store.close()
    assert list(path.parent.iterdir()) == [path]


def test_a_lock_that_is_never_let_go_ends_in_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    store = open_store(f"sqlite:///{path}")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        store.put("k", b"1")
    assert store.get("k") is None
    holder.execute("ROLLBACK")
    holder.close()
    store.put("k", b"1")
    store.close()


def test_a_new_file_that_somebody_else_is_making_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = sqlite3.connect(path, isolation_level=None)
    maker.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(database, "BUSY_SECONDS", 0)
    with pytest.raises(StoreUnavailable, match="locked"):
        open_store(f"sqlite:///{path}")
    monkeypatch.setattr(database, "BUSY_SECONDS", 30)
    monkeypatch.setattr(time, "sleep", lambda seconds: maker.execute("ROLLBACK"))
    open_store(f"sqlite:///{path}").close()
    maker.close()


WRITER = """
import itertools, sys
from callboard.state import Put, open_store

store = open_store(sys.argv[1])
for turn in itertools.count():
    store.transact([Put(f"k{number}", b"%d" % turn * 500) for number in range(50)])
    print(turn, flush=True)
"""


def test_killed_at_any_moment_it_keeps_what_was_confirmed(path: Path) -> None:
    program = path.parent / "writer.py"
    program.write_text(WRITER)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for enough in (3, 4, 7, 11):
        with subprocess.Popen([sys.executable, program, f"sqlite:///{path}"], stdout=subprocess.PIPE, env=environment) as writer:
            assert writer.stdout is not None
            for _ in range(enough):
                writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
            confirmed = [line for line in writer.stdout.read().split(b"\n") if line]
        last = int(confirmed[-1]) if confirmed else enough - 1
        store = open_store(f"sqlite:///{path}")
        records = store.scan("k")
        assert len(records) == 50 and len({record.version for record in records}) == 1
        [turn] = {int(record.value[: len(record.value) // 500]) for record in records}
        assert turn in (last, last + 1)
        store.close()


FORKS = """
import os, sys
from callboard.state import open_store

store = open_store(sys.argv[1])
store.put("parent", b"1")
child = os.fork()
mine = "child" if child == 0 else "parent"
for turn in range(200):
    store.put(mine, b"%d" % turn)
    record = store.get(mine)
    assert record is not None and record.value == b"%d" % turn
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print([(record.key, record.value) for record in store.scan()])
"""


def test_a_fork_has_connections_of_its_own(shared_url: str, tmp_path: Path) -> None:
    ended = run_program(FORKS, tmp_path, shared_url)
    assert ended.stdout == "[('child', b'199'), ('parent', b'199')]\n", ended.stderr


def test_postgresql_goes_and_comes_back(postgres_server: PostgresServer) -> None:
    wipe_postgres(postgres_server)
    store = open_store(postgres_server.url)
    store.put("k", b"1")
    with postgres_server.down():
        with pytest.raises(StoreUnavailable):
            store.get("k")
        with pytest.raises(StoreUnavailable):
            store.put("k", b"2")
    store.put("k", b"3")
    record = store.get("k")
    assert record is not None and record.value == b"3"
    store.close()


def test_connections_that_postgresql_cut_are_made_anew(postgres_server: PostgresServer) -> None:
    import psycopg

    wipe_postgres(postgres_server)
    store = open_store(postgres_server.url)
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    for step in (lambda: store.put("k", b"1"), lambda: store.get("k"), lambda: store.scan(), lambda: store.transact([Put("k", b"2")])):
        with psycopg.connect(postgres_server.url, autocommit=True) as connection:
            connection.execute(cut)
        step()
    record = store.get("k")
    assert record is not None and record.value == b"2"
    store.close()


def test_transactions_that_wait_for_each_other_both_end(postgres_server: PostgresServer) -> None:
    """One locks ``b`` and waits for ``a``, which the store's transaction holds while it waits for ``b``."""
    import psycopg

    wipe_postgres(postgres_server)
    store = open_store(postgres_server.url)
    version = store.transact([Put("a", b"0"), Put("b", b"0")])
    with psycopg.connect(postgres_server.url, autocommit=True) as other:
        other.execute("SET deadlock_timeout = '60s'")  # so that it is the store's transaction that is undone
        other.execute("BEGIN")
        other.execute("UPDATE callboard_records SET value = 'x' WHERE key = 'b'")
        with ThreadPoolExecutor(1) as thread:
            written = thread.submit(store.transact, [Put("a", b"1", version), Put("b", b"1", version)])
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while other.execute(waiting).fetchone() == (0,):
                other.execute("SELECT pg_sleep(0.01)")
            other.execute("UPDATE callboard_records SET value = 'x' WHERE key = 'a'")
            other.execute("ROLLBACK")
            written.result()
    assert [record.value for record in store.scan()] == [b"1", b"1"]
    store.close()
