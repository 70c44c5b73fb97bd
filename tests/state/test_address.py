"""Which store a URL names, and what is said about one that names none."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import Any

import pytest

from callboard.messages.errors import InvalidSetting, MissingExtra, StoreUnavailable
from callboard.state.address import open_store
from callboard.state.memory import MemoryStore
from tests.port import free_port
from tests.state.program import run_program


def test_memory() -> None:
    assert isinstance(open_store("memory:"), MemoryStore)


@pytest.mark.parametrize("url", ["", "memory", "state.db", "mysql://host/db", "redis", "memory:x", "MEMORY:"])
def test_what_names_no_store(url: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        open_store(url)
    for known in ("memory:", "sqlite:///path", "postgresql://", "redis://", repr(url)):
        assert known in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite://", "sqlite:///path"),
        ("sqlite:state.db", "sqlite:///path"),
        ("sqlite:///", "sqlite:///path"),
        ("sqlite:///:memory:", "say 'memory:'"),
        ("sqlite:////nowhere/at/all/state.db", "folder of the store 'sqlite:////nowhere/at/all/state.db' does not exist"),
        ("sqlite:///state.db?synchronous=off", "synchronous=normal or full, not 'synchronous=off'"),
        ("sqlite:///state.db?mode=ro", "not 'mode=ro'"),
        ("postgresql:nonsense", "postgresql://"),
        ("postgresql://host:port/db", "is no URL of a database"),
        ("redis:nonsense", "redis://"),
        ("redis://", "is no URL of a Redis database"),
        ("redis://host/x", "is no URL of a Redis database"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(url: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidSetting) as caught:
        open_store(url)
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["mysql://u:pass@word@h/d", "postgresql://u:pass@word@h:x/d", "redis://:pass@word@h/x"])
def test_passwords_are_kept_out_of_messages(url: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        open_store(url)
    assert ":***@" in str(caught.value)
    assert "pass" not in str(caught.value) and "word" not in str(caught.value)


def test_nobody_at_the_address(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, and it is long enough to be looked at as one")
    for url in (
        f"redis://127.0.0.1:{free_port()}/0",
        f"postgresql://nobody@127.0.0.1:{free_port()}/db",
        f"sqlite:///{tmp_path}/text",
        f"sqlite:///{tmp_path}",
    ):
        with pytest.raises(StoreUnavailable):
            open_store(url)


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [("sqlite:///x.db", "sqlalchemy", "sql"), ("postgresql://h/d", "sqlalchemy", "postgres"), ("redis://h", "redis", "redis")],
)
def test_a_package_that_is_missing_is_named(url: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ImportError(f"No module named {name!r}")
        return genuine(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra) as caught:
        open_store(url)
    assert (caught.value.package, caught.value.extra) == (package, extra)


def test_psycopg_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match="psycopg"):
        open_store("postgresql://h/d")


def test_nothing_of_a_database_is_imported_until_it_is_opened(tmp_path: Path) -> None:
    program = "import sys, callboard.state\nprint([name for name in ('sqlalchemy', 'redis', 'psycopg') if name in sys.modules])"
    assert run_program(program, tmp_path).stdout == "[]\n"
