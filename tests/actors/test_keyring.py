"""Keys and connection files."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path

import pytest

from callboard.actors.keyring import (
    Address,
    KeyPair,
    ServerKeys,
    announce,
    connection_file,
    folder,
    kept_keys,
    read_connection,
    remove,
    server_keys,
    write_connection,
)
from callboard.messages.errors import CannotConnect, InvalidSetting

LOCAL = Address("127.0.0.1", 8000)


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("tcp://127.0.0.1:8000", "127.0.0.1", 8000, True),
        ("127.0.0.1:1", "127.0.0.1", 1, True),
        ("tcp://localhost:65535", "localhost", 65535, True),
        ("tcp://127.1.2.3:80", "127.1.2.3", 80, True),
        ("tcp://[::1]:8000", "[::1]", 8000, True),
        ("tcp://10.0.0.7:8000", "10.0.0.7", 8000, False),
        ("tcp://[fe80::1]:8000", "[fe80::1]", 8000, False),
        ("tcp://studio.example.org:8000", "studio.example.org", 8000, False),
    ],
)
def test_addresses(text: str, host: str, port: int, loopback: bool) -> None:
    address = Address.parse(text)
    assert (address.host, address.port, address.loopback) == (host, port, loopback)
    assert address.endpoint == f"tcp://{host}:{port}" and Address.parse(address.endpoint) == address


@pytest.mark.parametrize("text", ["", "8000", "tcp://:8000", "tcp://a b:1", "udp://a:1", "a:0", "a:65536", "a:1:2", "tcp://a:1/x", 7, None])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InvalidSetting, match="expected tcp://HOST:PORT"):
        Address.parse(text)


def test_pairs_are_fresh_each_time() -> None:
    first, second = KeyPair.fresh(), KeyPair.fresh()
    assert first != second and len(first.public) == len(first.secret) == 40


def test_a_connection_file_is_found_by_address_and_its_owner_alone_can_read_it() -> None:
    keys = ServerKeys.fresh()
    path = connection_file(LOCAL)
    write_connection(path, LOCAL.endpoint, keys.credentials)
    try:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert read_connection(LOCAL) == read_connection(Address("localhost", 8000)) == read_connection(LOCAL, path) == keys.credentials
        assert keys.server.secret not in path.read_text()
        assert [each.name for each in path.parent.iterdir() if each.suffix == ".tmp"] == []
    finally:
        path.unlink()


def test_where_the_files_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CALLBOARD_HOME", str(tmp_path / "home"))
    assert folder() == tmp_path / "home"
    monkeypatch.delenv("CALLBOARD_HOME")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    assert folder() == tmp_path / "run" / "callboard"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert folder() == Path.home() / ".cache" / "callboard"


def test_the_folder_is_made_for_its_owner_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CALLBOARD_HOME", str(tmp_path / "new" / "home"))
    write_connection(connection_file(LOCAL), LOCAL.endpoint, ServerKeys.fresh().credentials)
    assert stat.S_IMODE((tmp_path / "new" / "home").stat().st_mode) == 0o700


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CannotConnect, match=r"no connection file for tcp://127\.0\.0\.1:8000.*is the manager running.*--key"):
        read_connection(LOCAL)
    with pytest.raises(CannotConnect, match="there is no file"):
        read_connection(LOCAL, tmp_path / "gone")


@pytest.mark.parametrize("content", ["", "no json", "[]", "7", "{}", '{"server": "x"}', "\x00\x01"])
def test_a_file_that_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(CannotConnect, match=r"bad\.json"):
        read_connection(LOCAL, path)


def test_a_file_that_others_can_read_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "open.json"
    write_connection(path, LOCAL.endpoint, ServerKeys.fresh().credentials)
    with caplog.at_level(logging.WARNING, "callboard"):
        read_connection(LOCAL, path)
        assert caplog.text == ""
        path.chmod(0o644)
        read_connection(LOCAL, path)
    assert "open.json has mode 0644" in caplog.text and "chmod it to 0600" in caplog.text


def test_a_managers_keys_are_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "studio.key"
    first = server_keys(path)
    assert server_keys(path) == server_keys(str(path)) == first
    assert read_connection(LOCAL, path) == first.credentials
    public = json.loads(path.read_text())
    assert first.server.secret not in public.values()
    secret = tmp_path / "studio.key.server"
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_half_of_a_managers_keys_is_not_enough(tmp_path: Path) -> None:
    path = tmp_path / "studio.key"
    server_keys(path)
    path.unlink()
    with pytest.raises(CannotConnect, match=r"studio\.key"):
        server_keys(path)


def test_two_halves_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    server_keys(tmp_path / "one")
    server_keys(tmp_path / "two")
    (tmp_path / "one.server").write_text((tmp_path / "two.server").read_text())
    with pytest.raises(CannotConnect, match="does not belong to"):
        server_keys(tmp_path / "one")
    (tmp_path / "two.server").write_text("{}")
    with pytest.raises(CannotConnect, match="does not belong to"):
        server_keys(tmp_path / "two")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CALLBOARD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "*"])
@pytest.mark.usefixtures("home")
def test_a_manager_on_all_interfaces_is_found_by_loopback(host: str) -> None:
    everywhere = Address(host, 8000)
    keys = ServerKeys.fresh()
    left = announce(everywhere, keys, keep=False)
    assert read_connection(LOCAL) == read_connection(Address("localhost", 8000)) == read_connection(everywhere) == keys.credentials
    for other in (Address("127.0.0.1", 8001), Address("10.0.0.7", 8000)):
        with pytest.raises(CannotConnect, match="is the manager running"):
            read_connection(other)
    remove(left)
    with pytest.raises(CannotConnect):
        read_connection(LOCAL)


@pytest.mark.parametrize(("dead", "alive"), [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0")])
def test_what_a_dead_manager_left_does_not_hide_the_one_that_lives(dead: str, alive: str, home: Path) -> None:
    announce(Address(dead, 8000), ServerKeys.fresh(), keep=True)
    elsewhere = announce(Address("10.0.0.7", 8000), ServerKeys.fresh(), keep=False)
    keys = ServerKeys.fresh()
    left = announce(Address(alive, 8000), keys, keep=False)
    assert read_connection(LOCAL) == keys.credentials
    assert sorted(home.iterdir()) == sorted(left + elsewhere)


def test_the_next_manager_finds_the_keys_of_one_that_was_killed(home: Path) -> None:
    keys = ServerKeys.fresh()
    assert kept_keys(LOCAL) is None
    left = announce(LOCAL, keys, keep=True)
    assert kept_keys(LOCAL) == kept_keys(Address("localhost", 8000)) == keys and kept_keys(Address("127.0.0.1", 8001)) is None
    assert [stat.S_IMODE(path.stat().st_mode) for path in left] == [0o600] * 2 and sorted(home.iterdir()) == sorted(left)
    remove(left)
    assert kept_keys(LOCAL) is None


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.usefixtures("home")
def test_keys_that_others_could_read_or_that_are_broken_are_not_taken_up(half: int) -> None:
    left = announce(LOCAL, ServerKeys.fresh(), keep=True)
    left[half].chmod(0o640)
    assert kept_keys(LOCAL) is None
    left[half].chmod(0o600)
    assert kept_keys(LOCAL) is not None
    left[half].write_text("no keys")
    assert kept_keys(LOCAL) is None
    left[half].unlink()
    assert kept_keys(LOCAL) is None
