"""The playground: a manager, its local workers, and the block in which they live."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Literal

from callboard.actors.bus import EventBus
from callboard.actors.client import Client
from callboard.actors.keyring import Address, Credentials, KeyPair, ServerKeys, connection_file, server_keys, write_connection
from callboard.actors.link import LocalLink
from callboard.actors.manager import ManagerSettings, TaskManager
from callboard.actors.peer import Endpoint
from callboard.actors.supervisor import Seat, Supervisor, Zygote
from callboard.actors.worker import ProcessWorker
from callboard.messages.errors import AlreadyPlaying, CallboardError, CannotBind, InvalidSetting, PlaygroundClosed, WorkerStartFailed
from callboard.messages.task import PLAIN_ROLE
from callboard.playground.board import Board
from callboard.playground.setting import Settings

logger = logging.getLogger("callboard")

START_PATIENCE = 60.0
"""Seconds within which every local worker must have joined."""
STOP_PATIENCE = 2.0
"""Seconds that workers have to end when the block is left by an exception; then they are killed."""
LEAVE_PATIENCE = 10.0
"""The same when it is left in order: ``on_stop`` may take its time."""


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
        self._session: _Session | None = None
        self._lock = threading.Lock()

    def play(self, workers: Sequence[ProcessWorker] | int | None = None) -> _Block:
        """The block, as ``with`` or ``async with``; it yields this playground once every local worker has joined.

        ``workers`` are `ProcessWorker` objects, or the number of plain ones (role ``"python"``) that run carried code;
        left out, as many as there are processors. Entering raises `AlreadyPlaying`, `CannotBind`, `CannotPickle`
        or `WorkerStartFailed`.

        Left in order, the block waits for all that was submitted and what followed from it. Left by an exception, it
        cancels what waits, stops what runs, and lets the exception out.
        """
        return _Block(self, _crew(workers))

    @property
    def address(self) -> str | None:
        """Where remote workers and clients find it, None without a port."""
        return None if self.settings.port is None else Address(self.settings.host, self.settings.port).endpoint

    def issue_key(self, path: str | Path) -> str:
        """Make a connection file with a key of its own, for one worker or client or for some; returns its public key.

        Inside the block, with a port. The key holds until it is revoked or the block ends. Who has the file may join, so
        that only its owner can read it. Raises `InvalidSetting` without a port.
        """
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
        link = self._the_link()
        assert isinstance(link, LocalLink)
        link.call(what, *arguments)

    # -- the block --------------------------------------------------------------------------

    def begin(self, workers: Sequence[ProcessWorker]) -> None:
        """Start everything; after an error nothing is left running."""
        with self._lock:
            if self._session is not None:
                raise AlreadyPlaying(f"playground {self.name!r} is playing already; make another one, or leave its block first")
            session = self._session = _Session(self, workers)
        try:
            session.start()
        except BaseException:
            self._session = None
            session.kill()
            raise
        self._client = session.client
        self._link = session.link

    def finish(self) -> None:
        """Wait for all that is open, then end."""
        session = self._session
        if session is None:
            return  # it was killed inside the block
        session.drain()
        self._bus_done()
        session.stop(LEAVE_PATIENCE)
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

    def _bus_done(self) -> None:
        """Let handlers hear what was published before the end."""
        session = self._session
        if session is not None and session.bus is not None:
            session.bus.settle()

    def _the_bus(self) -> EventBus:
        if self._session is None:
            raise PlaygroundClosed("events can be listened to inside the playground's block only")
        return self._session.the_bus()


class _Session:
    """What lives while a block lasts."""

    def __init__(self, playground: Playground, workers: Sequence[ProcessWorker]) -> None:
        self.settings = playground.settings
        self.name = playground.name
        self.credentials = playground._credentials
        self.workers = workers
        self.client = Client(self.settings.max_backlog, self.settings.when_full)
        self.client.max_payload = self.settings.max_payload
        self.bus: EventBus | None = None
        self.zygote: Zygote | None = None
        self.manager: TaskManager | None = None
        self.supervisor: Supervisor | None = None
        self.link: LocalLink | None = None
        self.connection: Path | None = None
        self._lock = threading.Lock()
        self._killed = False

    # -- begin ------------------------------------------------------------------------------

    def start(self) -> None:
        seats = [Seat(worker) for worker in self.workers]
        settings = self._manager_settings()
        if seats:
            self.zygote = Zygote(preload=("callboard.flows.task",))
        self.manager, ref = TaskManager.launch(settings, self.client)
        self.link = LocalLink(self.manager, ref)
        self.client.attach(self.link)
        if settings.address is not None and settings.keys is not None:
            self._announce(settings.address, settings.keys)
        if self.zygote is not None:
            self.supervisor, _ = Supervisor.launch(self.zygote, self.manager.gate.local_endpoint, self.manager.mailbox.post)
            self.manager.supervisor = self.supervisor
            self._seat(seats)

    def _manager_settings(self) -> ManagerSettings:
        settings = self.settings
        address, keys = None, None
        if settings.port is not None:
            address = Address(settings.host, settings.port)
            if not address.loopback and settings.key_file is None:
                raise CannotBind(
                    f"{settings.host} can be reached from other machines, and they need keys: pass key_file=PATH "
                    "(made if it does not exist), and give that file to workers and clients by --key or key="
                )
            keys = server_keys(settings.key_file) if settings.key_file is not None else ServerKeys.fresh()
        return ManagerSettings(
            self.name,
            address,
            keys,
            credentials=self.credentials,
            max_payload=settings.max_payload,
            max_worker_deaths=settings.max_worker_deaths,
            max_chain=settings.max_chain,
        )

    def _announce(self, address: Address, keys: ServerKeys) -> None:
        self.connection = connection_file(address)
        write_connection(self.connection, address.endpoint, keys.credentials)

    def _seat(self, seats: Sequence[Seat]) -> None:
        manager = self.manager
        assert self.supervisor is not None and manager is not None
        for seat in seats:
            self.supervisor.mailbox.post(lambda supervisor, seat=seat: supervisor.start_seat(seat))
        until = time.monotonic() + START_PATIENCE
        for seat in seats:
            try:
                seat.joined.result(max(0.0, until - time.monotonic()))
            except TimeoutError:
                raise WorkerStartFailed(f"worker {seat.name!r} did not join within {START_PATIENCE:g} s") from None
        tokens = [seat.token for seat in seats]
        manager.mailbox.post(lambda: manager.line_up(tokens))

    def the_bus(self) -> EventBus:
        with self._lock:
            if self.bus is None:
                assert self.manager is not None
                self.bus, _ = EventBus.launch(Endpoint(self.manager.gate.events_endpoint))
            return self.bus

    # -- end --------------------------------------------------------------------------------

    def drain(self) -> None:
        assert self.manager is not None
        while True:
            drained: Future[None] = Future()
            self.manager.mailbox.post(functools.partial(self.manager.drain, drained))
            drained.result()
            groups = self.client.open_groups()
            if not groups:
                return
            for group in groups:
                group.result()  # its join may submit more

    def cancel(self, patience: float) -> None:
        assert self.manager is not None
        manager = self.manager
        drained: Future[None] = Future()
        manager.mailbox.post(manager.cancel_everything)
        manager.mailbox.post(lambda: manager.drain(drained))
        try:
            drained.result(patience)
        except (TimeoutError, CallboardError):
            logger.warning("some tasks did not stop within %g s; their workers are killed", patience)

    def stop(self, patience: float) -> None:
        self.client.detach("the playground has ended")
        if self.supervisor is not None and self.manager is not None:
            supervisor, manager = self.supervisor, self.manager
            supervisor.mailbox.post(lambda supervisor: supervisor.retire())
            manager.mailbox.post(manager.dismiss)
            supervisor.empty.wait(patience)
        elif self.manager is not None:
            self.manager.mailbox.post(self.manager.dismiss)
        self.kill()

    def kill(self) -> None:
        """End what is left. Every step is short."""
        with self._lock:
            if self._killed:
                return
            self._killed = True
        self.client.detach("the playground has ended")
        if self.zygote is not None:
            self.zygote.kill()
        for actor in (self.supervisor, self.bus, self.manager):
            if actor is not None:
                actor.actor_ref.stop()
        self.client.abandon(PlaygroundClosed("the playground has ended"))
        self.client.errands.stop()
        if self.zygote is not None:
            self.zygote.close()
        if self.connection is not None:
            self.connection.unlink(missing_ok=True)


class _Block:
    """The context manager that ``play`` gives."""

    def __init__(self, playground: Playground, workers: Sequence[ProcessWorker]) -> None:
        self._playground = playground
        self._workers = workers

    def __enter__(self) -> Playground:
        self._playground.begin(self._workers)
        return self._playground

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        playground = self._playground
        try:
            if kind is None:
                playground.finish()
            else:
                playground.abort()
        except BaseException:
            _abort_again(playground, kind)
            raise

    async def __aenter__(self) -> Playground:
        beginning = asyncio.ensure_future(_in_thread(lambda: self._playground.begin(self._workers)))
        try:
            await asyncio.shield(beginning)
        except asyncio.CancelledError:
            # What is half begun cannot be ended in order: it takes a fraction of a second to be wholly so.
            await asyncio.wait([beginning])
            self._playground.kill()
            raise
        return self._playground

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        playground = self._playground
        try:
            if kind is None:
                try:
                    await _in_thread(playground.finish)
                except asyncio.CancelledError:
                    await _in_thread(playground.abort)
                    raise
            else:
                await _in_thread(playground.abort)
        finally:
            playground.kill()


def _abort_again(playground: Playground, kind: type[BaseException] | None) -> None:
    # The first Ctrl-C while the end was awaited stops what runs; a second one ends it at once.
    try:
        if kind is None:
            playground.abort()
    finally:
        playground.kill()


async def _in_thread(call: Callable[[], None]) -> None:
    """Run a blocking call in a thread of its own, so that the loop goes on, and needs no more of it than a wake-up."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def run() -> None:
        try:
            call()
        except BaseException as error:
            _tell(loop, done, error)
        else:
            _tell(loop, done, None)

    threading.Thread(target=run, name="callboard-block", daemon=True).start()
    await done


def _tell(loop: asyncio.AbstractEventLoop, done: asyncio.Future[None], error: BaseException | None) -> None:
    def settle() -> None:
        if not done.done():
            done.set_result(None) if error is None else done.set_exception(error)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        pass  # the loop was ended by a second Ctrl-C


def _crew(workers: Sequence[ProcessWorker] | int | None) -> list[ProcessWorker]:
    if workers is None:
        workers = os.cpu_count() or 1
    if isinstance(workers, int) and not isinstance(workers, bool):
        if workers < 0:
            raise InvalidSetting(f"the number of workers cannot be negative: {workers}")
        return [ProcessWorker(f"{PLAIN_ROLE}-{number}", role=PLAIN_ROLE) for number in range(1, workers + 1)]
    crew = list(workers) if not isinstance(workers, (str, bool)) else [workers]
    for worker in crew:
        if not isinstance(worker, ProcessWorker):
            raise InvalidSetting(f"workers must be ProcessWorker objects or a number, and {worker!r} is not one")
    return crew  # type: ignore[return-value]


TaskProcessingPlayground = Playground
"""The name that Ceylon has for it."""
