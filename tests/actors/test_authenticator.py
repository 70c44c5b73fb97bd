"""Who may connect, by the protocol of ZeroMQ's authentication (RFC 27)."""

from __future__ import annotations

import logging

import pytest
import zmq
from zmq.utils import z85

from callboard.actors.authenticator import Authenticator

PUBLIC = zmq.curve_keypair()[0]
OTHER = zmq.curve_keypair()[0]


def request(key: bytes, mechanism: bytes = b"CURVE", version: bytes = b"1.0") -> list[bytes]:
    return [b"peer", b"", version, b"42", b"callboard", b"10.0.0.7", b"", mechanism, z85.decode(key)]


def status(authenticator: Authenticator, frames: list[bytes]) -> bytes | None:
    reply = authenticator.reply(frames)
    return None if reply is None else reply[4]


def test_a_known_key_is_taken_in_by_its_name() -> None:
    authenticator = Authenticator({PUBLIC.decode()})
    assert authenticator.reply(request(PUBLIC)) == [b"peer", b"", b"1.0", b"42", b"200", b"OK", PUBLIC, b""]
    assert authenticator.refused == 0


def test_an_unknown_key_is_refused_and_told_of(caplog: pytest.LogCaptureFixture) -> None:
    authenticator = Authenticator({PUBLIC.decode()})
    with caplog.at_level(logging.WARNING, "callboard"):
        assert status(authenticator, request(OTHER)) == b"400"
    assert authenticator.refused == 1 and "10.0.0.7" in caplog.text


@pytest.mark.parametrize("mechanism", [b"NULL", b"PLAIN", b"GSSAPI", b""])
def test_other_mechanisms_are_refused(mechanism: bytes) -> None:
    assert status(Authenticator({PUBLIC.decode()}), request(PUBLIC, mechanism)) == b"400"


def test_what_is_no_request_gets_no_reply() -> None:
    authenticator = Authenticator({PUBLIC.decode()})
    assert authenticator.reply([]) is None and authenticator.reply([b"peer", b"", b"1.0"]) is None
    assert authenticator.reply(request(PUBLIC, version=b"2.0")) is None
    assert status(authenticator, request(PUBLIC)[:-1]) == b"400"
    assert status(authenticator, [*request(PUBLIC)[:-1], b"short"]) == b"400"


def test_a_callback_is_asked_about_other_keys() -> None:
    asked: list[str] = []

    def credentials(key: str) -> bool:
        asked.append(key)
        return key == OTHER.decode()

    authenticator = Authenticator({PUBLIC.decode()}, credentials)
    assert status(authenticator, request(PUBLIC)) == b"200" and asked == []
    assert status(authenticator, request(OTHER)) == b"200" and asked == [OTHER.decode()]
    assert status(authenticator, request(zmq.curve_keypair()[0])) == b"400"


@pytest.mark.parametrize("answer", [1, "yes", None, 0, [True]])
def test_only_true_is_yes(answer: object) -> None:
    authenticator = Authenticator(set(), lambda key: answer)  # type: ignore[arg-type,return-value]
    assert status(authenticator, request(PUBLIC)) == b"400"


def test_a_callback_that_raises_refuses_and_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def credentials(key: str) -> bool:
        raise LookupError("the directory is down")

    authenticator = Authenticator({PUBLIC.decode()}, credentials)
    assert status(authenticator, request(OTHER)) == b"400" and "the directory is down" in caplog.text
    assert status(authenticator, request(PUBLIC)) == b"200"


def test_a_revoked_key_is_refused_whatever_the_callback_says() -> None:
    authenticator = Authenticator({PUBLIC.decode()}, lambda key: True)
    authenticator.revoke(PUBLIC.decode())
    assert status(authenticator, request(PUBLIC)) == b"400" and authenticator.is_revoked(PUBLIC.decode())
    authenticator.allow(PUBLIC.decode())
    assert status(authenticator, request(PUBLIC)) == b"200" and not authenticator.is_revoked(PUBLIC.decode())
