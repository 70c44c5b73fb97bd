"""The playground: a manager, its local workers, and the block in which they live.

Nothing is imported here that takes long: the workers' ancestor is started first, and imports at the same time as this
process. What is not needed before that is imported where it is used.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal, cast

from callboard.actors.spawner import Zygote, preload
from callboard.actors.worker import ProcessWorker
from callboard.messages.errors import AlreadyPlaying, InvalidSetting, PlaygroundClosed
from callboard.messages.task import PLAIN_ROLE
from callboard.playground.block import Block
from callboard.playground.board import Board
from callboard.playground.setting import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from callboard.actors.bus import EventBus
    from callboard.actors.keyring import ServerKeys
    from callboard.actors.link import LocalLink
    from callboard.playground.session import Session

STOP_PATIENCE = 2.0
"""Seconds that workers have to end when the block is left by an exception; then they are killed."""


class Playground(Board):
    """Assigns tasks to workers while its block lasts.

    ``port`` opens it to remote workers and clients on ``host``; keys are made for that and left in a connection file
    that only this user can read. To be reached from other machines it needs ``key_file``, which is given to them.
    ``credentials`` is asked about public keys that are not in the file. For the other settings, which may be given by
    environment as well, see `playground.setting.Settings`. Raises `InvalidSetting`.
    """

    def __init__(
        self,
        name: str = "playground",
        *,
        port: int | None = None,
        host: str | None = None,
        key_file: str | Path | None = None,
        credentials: Callable[[str], bool] | None = None,
        max_backlog: int | None = None,
        when_full: Literal["wait", "raise"] | None = None,
        max_payload: int | None = None,
        max_worker_deaths: int | None = None,
        max_chain: int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(name, str) or not name:
            raise InvalidSetting(f"the name of a playground must be a text that is not empty, not {name!r}")
        self.name = name
        self.settings = Settings.of(
            {
                "host": host,
                "port": port,
                "key_file": key_file,
                "max_backlog": max_backlog,
                "when_full": when_full,
                "max_payload": max_payload,
                "max_worker_deaths": max_worker_deaths,
                "max_chain": max_chain,
            }
        )
        self._credentials = credentials
        self._session: Session | None = None
        self._lock = threading.Lock()

    def play(self, workers: Sequence[ProcessWorker] | int | None = None) -> Block:
        """The block, as ``with`` or ``async with``; it yields this playground once every local worker has joined.

        ``workers`` are `ProcessWorker` objects, or the number of plain ones (role ``"python"``) that run carried code;
        left out, as many as there are processors. Entering raises `AlreadyPlaying`, `CannotBind`, `CannotWrite`,
        `CannotPickle` or `WorkerStartFailed`.

        Left in order, the block waits for all that was submitted and what followed from it. Left by an exception, it
        cancels what waits, stops what runs, and lets the exception out.
        """
        return Block(self, _crew(workers))

    @property
    def address(self) -> str | None:
        """Where remote workers and clients find it, None without a port."""
        from callboard.actors.keyring import Address

        return None if self.settings.port is None else Address(self.settings.host, self.settings.port).endpoint

    def issue_key(self, path: str | Path) -> str:
        """Make a connection file with a key of its own, for one worker or client or for some; returns its public key.

        Inside the block, with a port. The key holds until it is revoked or the block ends. Who has the file may join, so
        that only its owner can read it. Raises `InvalidSetting` without a port.
        """
        from pathlib import Path

        from callboard.actors.keyring import Credentials, KeyPair, write_connection

        server = self._listening().server
        peer = KeyPair.fresh()
        self._order("authorize", peer.public)
        write_connection(Path(path), str(self.address), Credentials(server.public, peer))
        return peer.public

    def revoke(self, public_key: str) -> None:
        """Accept a public key no longer, be it an issued one, that of the connection file, or one that ``credentials`` says yes to.

        Workers and clients that came by it are cut off: what they ran is given to others, and they end or are refused.
        Inside the block, with a port; raises `InvalidSetting` without one.
        """
        self._listening()
        self._order("revoke", public_key)

    def _listening(self) -> ServerKeys:
        session = self._session
        if session is None or session.manager is None:
            raise PlaygroundClosed("keys are issued and revoked inside the playground's block only")
        keys = session.manager.settings.keys
        if keys is None:
            raise InvalidSetting(f"playground {self.name!r} has no port, so that nobody can come by a key; pass port=")
        return keys

    def _order(self, what: str, *arguments: str) -> None:
        cast("LocalLink", self._the_link()).call(what, *arguments)

    # -- the block --------------------------------------------------------------------------

    def begin(self, workers: Sequence[ProcessWorker]) -> None:
        """Start everything; after an error nothing is left running."""
        with self._lock:
            if self._session is not None:
                raise AlreadyPlaying(f"playground {self.name!r} is playing already; make another one, or leave its block first")
            session = self._session = _session(self.name, self.settings, self._credentials, workers)
        try:
            session.start()
        except BaseException:
            self._session = None
            session.kill()
            raise
        assert session.link is not None
        self._attach(session.client, session.link)

    def finish(self) -> None:
        """Wait for all that is open, then end."""
        session = self._session
        if session is None:
            return  # it was killed inside the block
        session.drain()
        session.stop()
        self._over()

    def abort(self) -> None:
        """Cancel what is open, and end."""
        session = self._session
        if session is None:
            return
        try:
            session.cancel(STOP_PATIENCE)
            session.stop(STOP_PATIENCE)
        finally:
            session.kill()
            self._over()

    def kill(self) -> None:
        """End at once, whatever runs. Short, synchronous, and may be called from anywhere."""
        session = self._session
        if session is not None:
            session.kill()
            self._over()

    def _over(self) -> None:
        self._session = None
        self._link = None
        self._bus = None
        self._executor = None

    def _the_bus(self) -> EventBus:
        if self._session is None:
            raise PlaygroundClosed("events can be listened to inside the playground's block only")
        return self._session.the_bus()

    def _present_bus(self) -> EventBus | None:
        return self._session.bus if self._session is not None else None


def _session(name: str, settings: Settings, credentials: Callable[[str], bool] | None, workers: Sequence[ProcessWorker]) -> Session:
    # The zygote first, since its imports take longest; what this process still has to import it does meanwhile.
    zygote = Zygote(preload(workers)) if workers else None
    try:
        from callboard.playground.session import Session

        return Session(name, settings, credentials, workers, zygote)
    except BaseException:  # Ctrl-C, most likely
        if zygote is not None:
            zygote.kill()
        raise


def _crew(workers: Sequence[ProcessWorker] | int | None) -> list[ProcessWorker]:
    if workers is None:
        workers = os.cpu_count() or 1
    if isinstance(workers, int) and not isinstance(workers, bool):
        if workers < 0:
            raise InvalidSetting(f"the number of workers cannot be negative: {workers}")
        return [ProcessWorker(f"{PLAIN_ROLE}-{number}", role=PLAIN_ROLE) for number in range(1, workers + 1)]
    if isinstance(workers, str | bool) or not isinstance(workers, Iterable):
        raise InvalidSetting(f"workers must be a list of ProcessWorker objects, or a number of plain ones, not {workers!r}")
    crew = list(workers)
    for worker in crew:
        if not isinstance(worker, ProcessWorker):
            raise InvalidSetting(f"workers must be ProcessWorker objects, and {worker!r} is not one")
    return crew


TaskProcessingPlayground = Playground
"""The name that Ceylon has for it."""
