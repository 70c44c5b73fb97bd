"""What lives while a playground's block lasts: its manager, its local workers, their keys, and the way they end."""

from __future__ import annotations

import atexit
import functools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from importlib import import_module
from pathlib import Path

from callboard.actors.bus import EventBus
from callboard.actors.client import Client
from callboard.actors.keyring import Address, ServerKeys, announce, kept_keys, remove, server_keys
from callboard.actors.link import LocalLink
from callboard.actors.manager import ManagerSettings, TaskManager
from callboard.actors.peer import Endpoint
from callboard.actors.spawner import Zygote
from callboard.actors.supervisor import START_PATIENCE, Seat, Supervisor
from callboard.actors.worker import ProcessWorker
from callboard.messages.errors import CallboardError, CannotBind, PlaygroundClosed, WorkerStartFailed
from callboard.playground.setting import Settings

logger = logging.getLogger("callboard")

LEAVE_PATIENCE = 10.0
"""Seconds for which workers, ``on_stop``, handlers and callbacks are waited for when the block is left in order."""
ACTOR_PATIENCE = 5.0
"""Seconds for the manager and the supervisor to end, which take a moment: nothing of a person's runs in their threads."""
KILL_PATIENCE = 0.2
"""Seconds for which handlers and callbacks are waited for when the end cannot wait."""


class Session:
    """What lives while a block lasts."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        credentials: Callable[[str], bool] | None,
        workers: Sequence[ProcessWorker],
        zygote: Zygote | None,
    ) -> None:
        self.settings = settings
        self.name = name
        self.credentials = credentials
        self.workers = workers
        self.client = Client(self.settings.max_backlog, self.settings.when_full)
        self.client.max_payload = self.settings.max_payload
        self.bus: EventBus | None = None
        self.zygote = zygote
        self.manager: TaskManager | None = None
        self.supervisor: Supervisor | None = None
        self.link: LocalLink | None = None
        self.left: list[Path] = []
        self._lock = threading.Lock()
        self._deaf = False  # a handler or callback did not return in time, and need not be waited for again

    # -- begin ------------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything, workers last; raises what keeps it from starting."""
        seats = [Seat(worker) for worker in self.workers]
        atexit.register(self.kill)  # for who enters a block and never leaves it, as in a notebook
        settings = self._manager_settings()
        self.manager, ref = TaskManager.launch(settings, self.client)
        self.link = LocalLink(self.manager, ref, self.client)
        self.client.attach(self.link, self.link.lead)
        if settings.address is not None and settings.keys is not None:
            self.left = announce(settings.address, settings.keys, keep=self.settings.key_file is None)
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
            keys = server_keys(settings.key_file) if settings.key_file is not None else kept_keys(address) or ServerKeys.fresh()
        return ManagerSettings(
            self.name,
            address,
            keys,
            credentials=self.credentials,
            max_payload=settings.max_payload,
            max_worker_deaths=settings.max_worker_deaths,
            max_chain=settings.max_chain,
        )

    def _seat(self, seats: Sequence[Seat]) -> None:
        manager = self.manager
        assert self.supervisor is not None and manager is not None
        for seat in seats:
            self.supervisor.mailbox.post(lambda supervisor, seat=seat: supervisor.start_seat(seat))
        import_module("callboard.playground.executor")  # now, while nothing can be done but to wait, and not at the first task
        until = time.monotonic() + START_PATIENCE
        for seat in seats:
            try:
                seat.joined.result(max(0.0, until - time.monotonic()))
            except TimeoutError:
                raise WorkerStartFailed(f"worker {seat.name!r} did not join within {START_PATIENCE:g} s") from None
        tokens = [seat.token for seat in seats]
        manager.mailbox.post(lambda: manager.line_up(tokens))

    def the_bus(self) -> EventBus:
        """The event bus, started when first needed."""
        with self._lock:
            if self.bus is None:
                assert self.manager is not None
                self.bus, _ = EventBus.launch(Endpoint(self.manager.gate.events_endpoint))
            return self.bus

    # -- end --------------------------------------------------------------------------------

    def drain(self) -> None:
        """Wait until every task and every group has ended, those too that event handlers and callbacks submit at the end.

        Handlers and callbacks that do not return within `LEAVE_PATIENCE` seconds are not waited for.
        """
        heard = -1  # so many of the tasks had ended before handlers and callbacks were last heard out
        while True:
            taken = self._taken
            self._drain_tasks()
            if self._taken == heard or not self._hear_out():
                return
            heard = taken

    @property
    def _taken(self) -> int:
        assert self.manager is not None
        return self.manager.dispatcher.taken  # in another thread, but a number that only grows

    def _hear_out(self) -> bool:
        """Let handlers and callbacks hear what has happened; False when they do not return."""
        self._deaf = not (self.client.errands.settle(LEAVE_PATIENCE) and (self.bus is None or self._run_handlers(self.bus)))
        return not self._deaf

    def _run_handlers(self, bus: EventBus) -> bool:
        assert self.link is not None
        for _ in range(2):  # what async handlers publish after they have waited is heard by others
            self.link.flush()
            if not bus.hear_out(LEAVE_PATIENCE):
                return False
        return True

    def _drain_tasks(self) -> None:
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
        """Cancel what is open, and wait up to ``patience`` seconds for it to stop."""
        assert self.manager is not None
        manager = self.manager
        drained: Future[None] = Future()
        manager.mailbox.post(manager.cancel_everything)
        manager.mailbox.post(lambda: manager.drain(drained))
        try:
            drained.result(patience)
        except (TimeoutError, CallboardError):
            logger.info("some tasks did not stop within %g s; their workers are killed", patience)

    def stop(self, patience: float = LEAVE_PATIENCE) -> None:
        """Let workers end in order within ``patience`` seconds, then end everything."""
        self.client.detach("the playground has ended", ended=True)
        if self.supervisor is not None and self.manager is not None:
            supervisor, manager = self.supervisor, self.manager
            supervisor.mailbox.post(lambda supervisor: supervisor.retire())
            manager.mailbox.post(manager.dismiss)
            supervisor.empty.wait(patience)
        elif self.manager is not None:
            self.manager.mailbox.post(self.manager.dismiss)
        self.kill(KILL_PATIENCE if self._deaf else patience)

    def kill(self, patience: float = KILL_PATIENCE) -> None:
        """End what is left, processes first. Every step may be taken again: a second Ctrl-C can come between any two.

        Every step is short but for those that wait for event handlers and callbacks, which get ``patience`` seconds.
        """
        self.client.detach("the playground has ended", ended=True)
        zygote = self.zygote
        if self.supervisor is not None:
            self.supervisor.expect_the_end()
        if zygote is not None:
            zygote.kill()
        manager = self.manager
        if manager is not None and not manager.dismissed:
            manager.mailbox.post(manager.dismiss)  # so that remote workers and clients do not wait for it to come back
        for actor in (self.supervisor, self.manager):
            if actor is not None:
                actor.end(ACTOR_PATIENCE)
        # Before handlers and callbacks are waited for, since they may wait for tasks.
        self.client.abandon(PlaygroundClosed("the playground has ended"))
        if self.bus is not None and not self.bus.end(patience):
            logger.warning("an event handler has not returned within %g s and is left to itself", patience)
        if not self.client.errands.stop(patience):
            logger.warning("a done-callback has not returned within %g s and is left to itself", patience)
        atexit.unregister(self.kill)
        with self._lock:
            if self.zygote is not None:
                self.zygote.close()
                self.zygote = None
            remove(self.left)
            self.left = []
