"""Real database servers for tests, each on a free loopback port and in a folder of its own."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.port import free_port

READY_SECONDS = 30.0
STARTS = 3
"""How often a first start is tried: a free port may be taken by another program before the server has it."""


class Server:
    """A server process and its folder. ``start`` returns once it answers; after ``stop`` it may start again."""

    def __init__(self) -> None:
        self.port = 0
        self.folder = Path(tempfile.mkdtemp(prefix="callboard-test-"))
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def identity(self) -> dict[str, Any]:
        return {}

    def start(self) -> None:
        """Start it: the first time on a free port, then on the same."""
        for left in reversed(range(1 if self.port else STARTS)):
            self.port = self.port or free_port()
            try:
                self._start()
                return
            except RuntimeError:
                self.stop()
                if not left:
                    raise
                self.port = 0

    @contextmanager
    def down(self) -> Iterator[None]:
        """Killed meanwhile, and started again."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def _start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command(), cwd=self.folder, stdout=log, stderr=log, **self.identity())
        deadline = time.monotonic() + READY_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{type(self).__name__} did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class RedisServer(Server):
    """Keeps an append-only file, so that it has its records again after `stop` and `start`."""

    def __init__(self) -> None:
        self.program = shutil.which("redis-server") or ""
        if not self.program:
            pytest.skip("redis-server is not installed")
        super().__init__()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        durable = ["--appendonly", "yes", "--appendfsync", "always"]
        return [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder), *durable]

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def version_of(postgres: str) -> int:
    """The number of a PostgreSQL's main release."""
    said = subprocess.run([postgres, "--version"], check=True, capture_output=True, text=True).stdout
    return int(re.findall(r"[0-9]+", said)[0])


class PostgresServer(Server):
    """Runs as another user where the tests run as root, since PostgreSQL refuses to."""

    def __init__(self) -> None:
        found = glob("/usr/lib/postgresql/*/bin/postgres") or list(filter(None, [shutil.which("postgres")]))
        if not found:
            pytest.skip("postgres is not installed")
        version, program = max((version_of(program), program) for program in found)
        super().__init__()
        self.programs = Path(program).parent
        if os.getuid() == 0:
            shutil.chown(self.folder, "nobody")
        # A language whose order of texts is not that of code points, where the release knows how to have one.
        language = ["-E", "UTF8", *(["--locale-provider=icu", "--icu-locale=en-US"] if version >= 15 else [])]
        initialise = [
            str(self.programs / "initdb"),
            "-D",
            str(self.folder / "data"),
            "-U",
            "callboard",
            "-A",
            "trust",
            "--no-sync",
            *language,
        ]
        subprocess.run(initialise, check=True, capture_output=True, cwd=self.folder, **self.identity())

    @property
    def url(self) -> str:
        return f"postgresql://callboard@127.0.0.1:{self.port}/postgres"

    def identity(self) -> dict[str, Any]:
        return {"user": "nobody"} if os.getuid() == 0 else {}

    def command(self) -> list[str]:
        # No fsync: what is tested is what a transaction is, not what this disk keeps in a power cut.
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=40"]
        return [str(self.programs / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), *settings]

    def answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


Kind = TypeVar("Kind", bound=Server)


def serving(kind: type[Kind]) -> Iterator[Kind]:
    """For a fixture: a server of a kind, which is gone with its files afterwards. Skips where there is no such program."""
    server = kind()
    try:
        server.start()
        yield server
    finally:
        server.close()


def wipe_redis(server: RedisServer) -> None:
    import redis

    with redis.Redis.from_url(server.url) as client:
        client.flushall()


def wipe_postgres(server: PostgresServer) -> None:
    import psycopg

    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS callboard_records")
