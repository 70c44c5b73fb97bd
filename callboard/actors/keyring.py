"""Keys, and the connection files in which peers find them.

A manager that listens on TCP has a CURVE key pair, and one for the peers it will have. What a peer needs (the manager's
public key and the peers' pair) stands in a connection file that only its owner can read, found by address.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import zmq

from callboard.messages.errors import CannotConnect, CannotWrite, InvalidSetting

logger = logging.getLogger("callboard")

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
WILDCARD = frozenset({"0.0.0.0", "*", "::", "[::]"})


class Address(NamedTuple):
    """Where a manager listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """``tcp://HOST:PORT``, or HOST:PORT; raises `InvalidSetting` that says what was expected."""
        match = re.fullmatch(r"(?:tcp://)?(\[[0-9a-fA-F:]+\]|[^:/\s]+):(\d{1,5})", text if isinstance(text, str) else "")
        if match is None or not 0 < int(match[2]) < 65536:
            raise InvalidSetting(f"{text!r} is no address: expected tcp://HOST:PORT, such as tcp://127.0.0.1:8000")
        return cls(match[1], int(match[2]))

    @property
    def endpoint(self) -> str:
        """As ZeroMQ takes it."""
        return f"tcp://{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in LOOPBACK or self.host.startswith("127.")

    @property
    def wildcard(self) -> bool:
        """Whether all interfaces are meant, loopback among them."""
        return self.host in WILDCARD


class KeyPair(NamedTuple):
    """A CURVE key pair, Z85-encoded."""

    public: str
    secret: str

    @classmethod
    def fresh(cls) -> KeyPair:
        """A new pair."""
        public, secret = zmq.curve_keypair()
        return cls(public.decode(), secret.decode())


class Credentials(NamedTuple):
    """What a peer needs to prove itself to a manager."""

    server: str
    peer: KeyPair


class ServerKeys(NamedTuple):
    """What a manager needs: its own pair, and the pair that its connection file gives to peers."""

    server: KeyPair
    peer: KeyPair

    @classmethod
    def fresh(cls) -> ServerKeys:
        """New pairs."""
        return cls(KeyPair.fresh(), KeyPair.fresh())

    @property
    def credentials(self) -> Credentials:
        """What peers need."""
        return Credentials(self.server.public, self.peer)


def folder() -> Path:
    """Where this user's connection files are: ``CALLBOARD_HOME``, or the user's runtime or cache folder."""
    chosen = os.environ.get("CALLBOARD_HOME")
    if chosen:
        return Path(chosen)
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "callboard" if runtime else Path.home() / ".cache" / "callboard"


def connection_file(address: Address) -> Path:
    """The file for an address; all names of this machine's loopback are one, and all of its interfaces together."""
    if address.loopback or address.wildcard:
        host = "127.0.0.1" if address.loopback else "0.0.0.0"
    else:
        host = address.host.strip("[]").replace(":", "_")
    return folder() / f"{host}-{address.port}.json"


def write_private(path: Path, content: dict[str, object]) -> None:
    """Write a file that only its owner can read, in one step; raises `CannotWrite`, and leaves nothing behind then."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                json.dump(content, file)
            os.replace(scratch, path)
        except OSError:
            scratch.unlink(missing_ok=True)
            raise
    except OSError as error:
        text = f"{path} cannot be written: {error.strerror}; keys are kept there: make room, or choose another place by key_file= or the "
        raise CannotWrite(error.errno, f"{text}environment variable CALLBOARD_HOME") from None


def write_connection(path: Path, endpoint: str, credentials: Credentials) -> None:
    """Leave a connection file."""
    peer = credentials.peer
    content = {"endpoint": endpoint, "server": credentials.server, "public": peer.public, "secret": peer.secret, "pid": os.getpid()}
    write_private(path, content)


def announce(address: Address, keys: ServerKeys, keep: bool) -> list[Path]:
    """Leave the connection file for an address that a manager listens on, and with ``keep`` its secret beside it, for the
    next one on this port if this one is killed (see `kept_keys`). Returns what is to be removed at its end."""
    path = connection_file(address)
    left = [path]
    write_connection(path, address.endpoint, keys.credentials)
    if keep:
        left.append(_secret_file(path))
        write_private(left[1], {"public": keys.server.public, "secret": keys.server.secret})
    for other in (Address("127.0.0.1", address.port), Address("0.0.0.0", address.port)):
        if address.loopback is not other.loopback and (address.loopback or address.wildcard):
            remove([connection_file(other), _secret_file(connection_file(other))])  # a dead one's: nobody else can listen there
    return left


def remove(paths: Iterable[Path]) -> None:
    """Remove files, if they are there."""
    for path in paths:
        path.unlink(missing_ok=True)


def kept_keys(address: Address) -> ServerKeys | None:
    """The keys of a manager that listened there and was killed, so that its workers and clients know the next one; None
    where there are none, or none that were secret."""
    path = connection_file(address)
    try:
        if _secret_file(path).stat().st_mode & 0o077 or path.stat().st_mode & 0o077:
            return None
        return server_keys(path)
    except (CannotConnect, OSError):
        return None


def read_connection(address: Address, key: str | Path | None = None) -> Credentials:
    """The credentials for an address, from ``key`` or from where this user's manager left them; raises `CannotConnect`."""
    path = Path(key) if key is not None else _found(address)
    content = _read(path, address if key is None else None)
    try:
        return Credentials(str(content["server"]), KeyPair(str(content["public"]), str(content["secret"])))
    except KeyError as error:
        raise CannotConnect(f"{path} is no connection file: it has no {error}") from None


def _found(address: Address) -> Path:
    path = connection_file(address)
    if address.loopback and not path.exists():
        everywhere = connection_file(Address("0.0.0.0", address.port))
        if everywhere.exists():
            return everywhere
    return path


def _secret_file(path: Path) -> Path:
    return Path(f"{path}.server")


def server_keys(path: str | Path) -> ServerKeys:
    """The keys of a manager that keeps them in a file, made when it does not exist.

    The connection file for peers stands at ``path``, the manager's own secret beside it in ``path``.server, so that
    the first can be given away without the second.
    """
    public_path, secret_path = Path(path), _secret_file(Path(path))
    if not secret_path.exists():
        keys = ServerKeys.fresh()
        write_connection(public_path, "", keys.credentials)
        write_private(secret_path, {"public": keys.server.public, "secret": keys.server.secret})
        return keys
    content = _read(secret_path, None)
    given = read_connection(Address("", 0), public_path)
    if content.get("public") != given.server or len(str(content.get("secret"))) != len(given.server):
        raise CannotConnect(f"{secret_path} does not belong to {public_path}: give both of a pair, or remove both to have new ones made")
    return ServerKeys(KeyPair(given.server, str(content["secret"])), given.peer)


def _read(path: Path, address: Address | None) -> dict[str, object]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = json.loads(path.read_text())
    except FileNotFoundError:
        where = f"no connection file for {address.endpoint} at {path}" if address else f"there is no file {path}"
        hint = "is the manager running, as the same user? From another machine give its file by key= or --key"
        raise CannotConnect(f"{where}; {hint}") from None
    except (OSError, ValueError) as error:
        raise CannotConnect(f"{path} cannot be read as a connection file: {error}") from None
    if mode & 0o077:
        logger.warning("%s has mode %04o: others can read the keys in it; chmod it to 0600", path, mode)
    if not isinstance(content, dict):
        raise CannotConnect(f"{path} is no connection file")
    return content
