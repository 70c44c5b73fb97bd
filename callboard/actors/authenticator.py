"""Who may connect: the manager's own ZAP handler (RFC 27), which answers in the manager's poll and so needs no thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import zmq
from zmq.utils import z85

from callboard.actors.frame import send_frames

logger = logging.getLogger("callboard")

DOMAIN = "callboard"
ENDPOINT = "inproc://zeromq.zap.01"


class Authenticator:
    """Decides by public key. ``credentials``, where given, is asked about keys that are neither in the set nor revoked."""

    def __init__(self, allowed: set[str], credentials: Callable[[str], bool] | None = None) -> None:
        self._allowed = allowed
        self._revoked: set[str] = set()
        self._credentials = credentials
        self.refused = 0

    def allow(self, key: str) -> None:
        """Accept a key."""
        self._allowed.add(key)
        self._revoked.discard(key)

    def revoke(self, key: str) -> None:
        """Accept it no longer, whatever the callback says."""
        self._allowed.discard(key)
        self._revoked.add(key)

    def is_revoked(self, key: str) -> bool:
        """Whether a key was accepted once and is no longer."""
        return key in self._revoked

    def reply(self, frames: list[bytes]) -> list[bytes] | None:
        """The reply to a ZAP request, None for what is none."""
        if len(frames) < 8 or frames[2] != b"1.0":
            return None
        envelope, version, request = frames[:2], frames[2], frames[3]
        mechanism, address = frames[7], frames[5].decode("utf-8", "replace")
        user = self._user(mechanism, frames[8:])
        if user is not None:
            return [*envelope, version, request, b"200", b"OK", user.encode(), b""]
        self.refused += 1
        logger.warning("refused a connection from %s: its key is unknown, or was revoked", address or "somebody")
        return [*envelope, version, request, b"400", b"unknown key", b"", b""]

    def _user(self, mechanism: bytes, credentials: list[bytes]) -> str | None:
        if mechanism != b"CURVE" or len(credentials) != 1 or len(credentials[0]) != 32:
            return None
        key: str = z85.encode(credentials[0]).decode()
        if key in self._allowed:
            return key
        if self._credentials is None or key in self._revoked:
            return None
        try:
            return key if self._credentials(key) is True else None
        except Exception:  # the user's code
            logger.exception("the credentials callback raised; the connection was refused")
            return None


def serve(socket: zmq.Socket[bytes], authenticator: Authenticator, frames: list[Any]) -> None:
    """Answer one request."""
    reply = authenticator.reply([frame.bytes for frame in frames])
    if reply is not None:
        send_frames(socket, reply)
