"""Where the sockets of a manager are."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import zmq

from callboard.actors.gate import Gate
from callboard.actors.mailbox import Mailbox


@pytest.mark.parametrize("length", [10, 200])
def test_sockets_are_made_wherever_temporary_files_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    folder = tmp_path / ("t" * length)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    gate = Gate(None, None, None)
    mailbox = Mailbox()
    try:
        gate.open(mailbox)
        assert gate.folder.stat().st_mode & 0o777 == 0o700
        with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
            dealer.connect(gate.local_endpoint)
            dealer.send(b"hello")
            assert gate.router.recv_multipart()[-1] == b"hello"
    finally:
        gate.close()
        mailbox.close()
    assert not gate.folder.exists() and not list(folder.iterdir())
