"""Peers that do not fit: another protocol, another Python, another cloudpickle."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from callboard import Playground, connect
from callboard.actors.keyring import Address, read_connection
from callboard.actors.peer import Versions, incompatible
from callboard.messages.codec import decode, encode
from callboard.messages.errors import Refused
from callboard.messages.wire import PROTOCOL, Hello, Refusal, Welcome
from tests.faults.crew import Hand, manager_of, order
from tests.faults.test_intruder import dealer

MINE = Versions("3.11.7", "3.1.2")


def hello(**other: Any) -> Hello:
    return Hello(**{"python": MINE.python, "cloudpickle": MINE.cloudpickle, "peer": "worker", "name": "eve", **other})


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"protocol": PROTOCOL + 1}, f"speaks protocol {PROTOCOL + 1}, the manager {PROTOCOL}"),
        ({"python": "3.12.1"}, "runs Python 3.12.1, the manager 3.11.7"),
        ({"python": "nonsense"}, "runs Python nonsense"),
        ({"cloudpickle": "2.2.1"}, "its cloudpickle is 2.2.1, the manager's 3.1.2"),
    ],
)
def test_what_cannot_work_is_refused_by_name(other: dict[str, Any], words: str) -> None:
    refusal, warning = incompatible(hello(**other), MINE)
    assert refusal is not None
    assert words in refusal
    assert warning is None


def test_what_may_not_work_is_warned_of() -> None:
    assert incompatible(hello(), MINE) == (None, None)
    assert incompatible(hello(python="3.11.2"), MINE) == (None, None)
    refusal, warning = incompatible(hello(cloudpickle="3.0.0"), MINE)
    assert refusal is None
    assert "carried code may not load" in str(warning)


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("kind", ["worker", "client"])
def test_a_manager_tells_who_does_not_fit(kind: str, port: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with Playground(port=port).play(workers=[Hand("ada")]) as stage:
        with dealer(port, read_connection(Address("127.0.0.1", port))) as peer:
            peer.send_multipart(encode(hello(python="3.9.1", peer=kind)))
            assert peer.poll(5000)
            answer, _ = decode(peer.recv_multipart())
            assert isinstance(answer, Refusal)
            assert "runs Python 3.9.1" in answer.reason
            assert f"refused {kind} 'eve'" in caplog.text
            mine = Versions.here()
            peer.send_multipart(encode(hello(python=mine.python, cloudpickle=mine.cloudpickle, peer="client")))
            assert peer.poll(5000)
            assert isinstance(decode(peer.recv_multipart())[0], Welcome)
        assert [worker.name for worker in stage.workers] == ["ada"]
        assert stage.submit(order("echo", 1)).result(10).output == 1


@pytest.mark.usefixtures("no_leaks")
def test_who_does_not_fit_learns_why(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with Playground(port=port).play(workers=[]):
        mine = Versions.here()
        here: Callable[[], Versions] = lambda: Versions("3.9.1", mine.cloudpickle)  # noqa: E731
        monkeypatch.setattr(Versions, "here", here)
        with pytest.raises(Refused, match=r"runs Python 3\.9\.1"):
            connect(f"tcp://127.0.0.1:{port}")
        with pytest.raises(Refused, match="the same minor version"):
            Hand("eve").join(f"tcp://127.0.0.1:{port}")


@pytest.mark.usefixtures("no_leaks")
def test_who_comes_over_the_network_is_no_local_worker(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with Playground(port=port).play(workers=[Hand("ada")]) as stage:
        mine = Versions.here()
        (token,) = [peer.token for peer in manager_of(stage).reception.peers.values()]
        with dealer(port, read_connection(Address("127.0.0.1", port))) as peer:
            peer.send_multipart(encode(hello(python=mine.python, cloudpickle=mine.cloudpickle, token=token)))
            peer.send_multipart(encode(hello(python=mine.python, cloudpickle=mine.cloudpickle)))
            assert peer.poll(5000)
            assert isinstance(decode(peer.recv_multipart())[0], Welcome)
            assert manager_of(stage).reception.malformed == 1
        assert stage.submit(order("echo", 1, processor="worker")).result(10).worker == "ada"
