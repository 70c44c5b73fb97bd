"""From elsewhere: a client of a manager that lives in another process or on another machine."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from callboard.actors.backlog import DEFAULT_BACKLOG
from callboard.actors.bus import EventBus
from callboard.actors.client import Client
from callboard.actors.keyring import Address, Credentials, read_connection
from callboard.actors.link import ClientLink
from callboard.actors.peer import Endpoint
from callboard.messages.errors import CannotConnect, PlaygroundClosed
from callboard.playground.board import Board

PATIENCE = 5.0
CLOSE_PATIENCE = 10.0
"""Seconds for which `Connection.close` waits for handlers and callbacks."""

logger = logging.getLogger("callboard")


class Connection(Board):
    """A connected client: submits tasks and hears of events as a playground does. A context manager; else `close` it."""

    def __init__(
        self, address: Address, credentials: Credentials, timeout: float, max_backlog: int, when_full: Literal["wait", "raise"]
    ) -> None:
        super().__init__()
        self.address = address.endpoint
        self._credentials = credentials
        self._host = address.host
        self._lock = threading.Lock()
        self._closed = False
        client = Client(max_backlog, when_full)
        self._errands = client.errands
        self._actor, _ = ClientLink.launch(Endpoint(address.endpoint, credentials), client, f"client-{os.getpid()}")
        try:
            self._welcome = self._actor.joined.result(timeout)
        except FutureTimeout:
            self.close()
            raise CannotConnect(f"nobody answered at {self.address} within {timeout:g} s; is the manager running there?") from None
        except BaseException:
            self.close()
            raise
        client.attach(self._actor)
        self._attach(client, self._actor)

    def close(self) -> None:
        """Take leave. Tasks that have not ended go on; their handles here end FAILED with `PlaygroundClosed`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._link = None
        self._actor.end(CLOSE_PATIENCE)  # first: handlers and callbacks may wait for tasks, whose handles end by this
        if self._bus is not None and not self._bus.end(CLOSE_PATIENCE):
            logger.warning("an event handler has not returned within %g s and is left to itself", CLOSE_PATIENCE)
        if not self._errands.stop(CLOSE_PATIENCE):
            logger.warning("a done-callback has not returned within %g s and is left to itself", CLOSE_PATIENCE)

    def when_over(self, function: Callable[[], object]) -> None:
        """Call ``function`` when the manager has ended, or this connection was closed. It must not block."""
        self._actor.over.add_done_callback(lambda _: function())

    def hear_out(self) -> None:
        """Wait, a second at most, until the handlers have heard what was published before."""
        if self._bus is not None:
            self._bus.settle()

    def _the_bus(self) -> EventBus:
        with self._lock:
            if self._closed:
                raise PlaygroundClosed("the connection was closed")
            if self._bus is None:
                port = self._welcome.events_port
                self._bus, _ = EventBus.launch(Endpoint(f"tcp://{self._host}:{port}", self._credentials))
            return self._bus

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await asyncio.to_thread(self.close)


def connect(
    address: str,
    *,
    key: str | Path | None = None,
    timeout: float = PATIENCE,
    max_backlog: int = DEFAULT_BACKLOG,
    when_full: Literal["wait", "raise"] = "wait",
) -> Connection:
    """Connect to the manager at ``tcp://HOST:PORT``; waits at most ``timeout`` seconds to be taken in.

    ``key`` is a connection file; left out, the one that this user's manager left for the address is used. Raises
    `InvalidSetting` for what is no address, `CannotConnect` when nobody answers or there is no file, and `Refused` when
    the manager will not have us.
    """
    parsed = Address.parse(address)
    return Connection(parsed, read_connection(parsed, key), timeout, max_backlog, when_full)
