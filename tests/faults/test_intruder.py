"""Peers without a key, with a wrong one, or with one that was good."""

from __future__ import annotations

import logging
import os
import pickle
import random
import socket
import stat
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from callboard import Playground, connect
from callboard.actors.keyring import Address, Credentials, KeyPair, connection_file, read_connection, server_keys, write_connection
from callboard.messages.codec import encode
from callboard.messages.errors import CallboardError, CannotBind, CannotConnect, CannotWrite, PlaygroundClosed, Refused
from callboard.messages.wire import Hello, Say, Submit
from tests.faults.conftest import Start
from tests.faults.crew import Hand, await_lines, manager_of, order
from tests.faults.test_pressure import resident

Figure = Callable[[str, object], None]


@contextmanager
def dealer(port: int, credentials: Credentials | None = None, kind: int = zmq.DEALER) -> Iterator[zmq.Socket[bytes]]:
    """A bare socket, connected."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    made = context.socket(kind)
    made.linger = 0
    if credentials is not None:
        made.curve_serverkey = credentials.server.encode()
        made.curve_publickey = credentials.peer.public.encode()
        made.curve_secretkey = credentials.peer.secret.encode()
    made.connect(f"tcp://127.0.0.1:{port}")
    try:
        yield made
    finally:
        made.close(0)
        context.term()


def hello() -> list[Any]:
    return encode(Hello(python="3.11.0", cloudpickle="3.0.0", peer="client", name="mallory"))


@pytest.mark.usefixtures("no_leaks")
def test_who_has_no_good_key_is_refused_and_logged(tmp_path: Path, port: int, caplog: pytest.LogCaptureFixture, figure: Figure) -> None:
    key = tmp_path / "key"
    address = f"tcp://127.0.0.1:{port}"
    with Playground(port=port, key_file=key).play(workers=[Hand("ada")]) as stage:
        good = read_connection(Address("127.0.0.1", port), key)
        # Without a key: the sockets do not even finish their greeting.
        with dealer(port) as bare:
            bare.send_multipart(hello())
            assert not bare.poll(700)
        # With a key that nobody knows.
        stranger = tmp_path / "stranger"
        write_connection(stranger, address, Credentials(good.server, KeyPair.fresh()))
        caplog.clear()
        with pytest.raises(Refused, match="refused the keys"):
            connect(address, key=stranger)
        assert "its key is unknown" in caplog.text
        # With a good key, but for another manager.
        elsewhere = tmp_path / "elsewhere"
        write_connection(elsewhere, address, Credentials(KeyPair.fresh().public, good.peer))
        with pytest.raises((Refused, CannotConnect)):
            connect(address, key=elsewhere, timeout=1.5)
        begun = time.monotonic()
        with connect(address, key=key) as board:
            assert board.submit(order("echo", 1)).result(10).output == 1
        figure("after refused ones, the next good client is served after (s)", time.monotonic() - begun)
        assert [worker.name for worker in stage.workers] == ["ada"]


@pytest.mark.usefixtures("no_leaks")
def test_a_revoked_key_opens_nothing_any_more(tmp_path: Path, port: int, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    key, issued, marks = tmp_path / "key", tmp_path / "issued", tmp_path / "marks"
    address = f"tcp://127.0.0.1:{port}"
    with Playground(port=port, key_file=key).play(workers=[]) as stage:
        public = stage.issue_key(issued)
        assert stat.S_IMODE(issued.stat().st_mode) == 0o600
        theirs = start("worker", address, issued, "eve")
        with connect(address, key=issued) as client:
            heard: list[str] = []
            client.on("*", lambda event: heard.append(event.topic))
            running = stage.submit(order("mark", (str(marks), 1.0)))
            await_lines(marks, 1)
            open_handle = client.submit(order("echo", 1, processor="nobody"))
            assert open_handle.status is not None
            stage.revoke(public)
            # The client learns it, the worker ends, and its task goes to the next one.
            assert isinstance(open_handle.result(5).failure, object)
            assert "revoked" in str(open_handle.result().error)
            with pytest.raises(PlaygroundClosed, match="revoked"):
                client.submit(order("echo", 1))
            heard.clear()
            assert theirs.wait(10) == 0
            with pytest.raises(Refused):
                connect(address, key=issued)
            with connect(address, key=key) as good:
                mine: list[str] = []
                good.on("*", lambda event: mine.append(event.topic))
                start("worker", address, key, "ada")
                assert running.result(10).unwrap() == running.task_id
                assert running.result().worker == "ada"
                good.emit("secret")
                while "secret" not in mine:
                    time.sleep(0.01)
            assert heard == []
        assert "was revoked" in caplog.text


@pytest.mark.usefixtures("no_leaks")
def test_keys_need_a_port_and_a_block(tmp_path: Path) -> None:
    playground = Playground()
    with pytest.raises(PlaygroundClosed):
        playground.revoke("x" * 40)
    with playground.play(workers=[]), pytest.raises(CallboardError, match="no port"):
        playground.issue_key(tmp_path / "key")


@pytest.mark.usefixtures("no_leaks")
def test_a_callback_about_keys_that_raises_refuses_and_ends_nothing(tmp_path: Path, port: int, caplog: pytest.LogCaptureFixture) -> None:
    key, other = tmp_path / "key", tmp_path / "other"
    address = f"tcp://127.0.0.1:{port}"
    pair = KeyPair.fresh()
    good = True

    def credentials(public: str) -> bool:
        if not good:
            raise RuntimeError("the directory is down")
        return public == pair.public

    with Playground(port=port, key_file=key, credentials=credentials).play(workers=[Hand("ada")]):
        write_connection(other, address, Credentials(read_connection(Address("127.0.0.1", port), key).server, pair))
        with connect(address, key=other) as board:
            assert board.submit(order("echo", 1)).result(10).output == 1
        good = False
        with pytest.raises(Refused):
            connect(address, key=other)
        assert "the credentials callback raised" in caplog.text
        with connect(address, key=key) as board:
            assert board.submit(order("echo", 2)).result(10).output == 2
        good = True
        with connect(address, key=other) as board:
            assert board.submit(order("echo", 3)).result(10).output == 3


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("host", ["0.0.0.0", "*", "::"])
def test_other_machines_need_keys(host: str, port: int) -> None:
    with pytest.raises(CannotBind, match="pass key_file=PATH"), Playground(host=host, port=port).play(workers=[]):
        pass


def test_files_of_keys_are_for_their_owner_alone(tmp_path: Path, port: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with Playground(port=port).play(workers=[]):
        path = connection_file(Address("127.0.0.1", port))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        connect(f"tcp://127.0.0.1:{port}").close()
        assert "mode" not in caplog.text
        path.chmod(0o644)
        connect(f"tcp://127.0.0.1:{port}").close()
        assert f"{path} has mode 0644: others can read the keys in it" in caplog.text
    assert not path.exists()
    server_keys(tmp_path / "kept")
    assert {stat.S_IMODE(found.stat().st_mode) for found in tmp_path.glob("kept*")} == {0o600}


@pytest.mark.usefixtures("no_leaks")
def test_keys_that_cannot_be_kept_are_told_of_at_once(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    full = tmp_path / "file"
    full.write_text("no folder")
    with (
        pytest.raises(CannotWrite, match=r"file/key.* cannot be written: .*key_file="),
        Playground(port=port, key_file=full / "key").play(workers=[]),
    ):
        pass
    monkeypatch.setenv("CALLBOARD_HOME", str(full))
    with pytest.raises(CannotWrite, match="CALLBOARD_HOME"), Playground(port=port).play(workers=[Hand("ada")]):
        pass
    monkeypatch.setattr("tempfile.tempdir", str(full))
    with pytest.raises(CannotWrite, match="TMPDIR"), Playground().play(workers=[]):
        pass


@pytest.mark.usefixtures("no_leaks")
def test_a_disk_that_is_full_leaves_no_half_written_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("callboard.actors.keyring.json.dump", full)
    with pytest.raises(CannotWrite, match="No space left on device"):
        server_keys(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_leaks")
def test_a_second_manager_on_a_port_does_no_harm_to_the_first(port: int) -> None:
    address = f"tcp://127.0.0.1:{port}"
    with Playground(port=port).play(workers=[Hand("ada")]):
        with pytest.raises(CannotBind, match="choose another port"), Playground(port=port).play(workers=[Hand("bob")]):
            pass
        with connect(address) as board:
            assert board.submit(order("echo", 1)).result(10).output == 1


class Canary:
    """Tells by a file that it was unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.open, (self.path, os.O_CREAT | os.O_WRONLY)


@pytest.mark.usefixtures("no_leaks")
def test_what_comes_without_a_key_is_never_unpickled(tmp_path: Path, port: int) -> None:
    nest = tmp_path / "sung"
    song = pickle.dumps(Canary(str(nest)))
    with Playground(port=port).play(workers=[Hand("ada")]) as stage:
        for open_port in (port, port + 1):
            for kind in (zmq.DEALER, zmq.SUB, zmq.XSUB, zmq.REQ):
                with dealer(open_port, kind=kind) as bare:
                    for frames in ([song], [*hello(), song], [b"", song], _submit(song), _say(song)):
                        try:
                            bare.send_multipart(frames, zmq.DONTWAIT)
                        except zmq.ZMQError:
                            continue  # of this kind, or while it is not connected, a socket does not send
                    bare.poll(100)
            with socket.create_connection(("127.0.0.1", open_port)) as plain:
                plain.sendall(song)
        assert stage.submit(order("echo", 1)).result(10).output == 1
    assert not nest.exists()
    os.close(pickle.loads(song))
    assert nest.exists()


def _submit(song: bytes) -> list[Any]:
    return encode(Submit(ids=["a"], names=["a"], spec_of=[0], specs=None, sizes=[len(song)]), [song])


def _say(song: bytes) -> list[Any]:
    return encode(Say(topic="a", time=0.0, rich=True, sizes=[len(song)]), [song])


GREETING = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x00CURVE" + bytes(15) + b"\0" + bytes(31)


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("no_leaks")
def test_connections_of_random_bytes_disturb_nobody(full: bool, port: int, figure: Figure) -> None:
    count = 10_000 if full else 500
    chance = random.Random(3)
    with Playground(port=port).play(workers=[]) as stage, connect(f"tcp://127.0.0.1:{port}") as board:

        def latency(rounds: int) -> float:
            taken = []
            for _ in range(rounds):
                begun = time.perf_counter()
                assert board.task_manager.overview()["open"] == 0
                taken.append(time.perf_counter() - begun)
                time.sleep(0.002)
            return statistics.median(taken)

        quiet = latency(100)
        ended = threading.Event()
        during: list[float] = []
        client = threading.Thread(target=lambda: during.extend(iter(lambda: latency(20) if not ended.is_set() else 0.0, 0.0)))
        before = resident()
        client.start()
        for number in range(count):
            data = chance.randbytes(chance.randrange(1, 3000))
            with socket.create_connection(("127.0.0.1", port + number % 2)) as plain:
                try:
                    plain.sendall(GREETING + data if number % 3 == 0 else data)
                except ConnectionError:
                    pass  # it was cut off before all was said
            time.sleep(0.002)
        ended.set()
        client.join()
        grown = resident() - before
        figure(f"{count:,} connections of random bytes: memory grown (MB)", grown / 1e6)
        figure("a client's latency beside them, quiet and then (ms)", f"{quiet * 1e3:.3f}, {statistics.median(during) * 1e3:.3f}")
        assert grown < 20e6
        reception = manager_of(stage).reception
        assert reception.malformed == 0
        assert [peer.kind for peer in reception.peers.values()] == ["client"]
