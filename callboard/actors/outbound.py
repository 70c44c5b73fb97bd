"""Carries out what the dispatcher decides: what is said to whom, and who is ended. Lives in the manager's thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from callboard.actors.courier import Peer, burden, weigh_outcome
from callboard.actors.dispatch.command import Assign, Command, Deliver, Forget, Halt, Kill, Publish, Recall, Warn
from callboard.actors.dispatch.entry import Entry
from callboard.actors.shelf import Shelf, code_in_use
from callboard.messages.codec import encode, fits, portions
from callboard.messages.errors import PayloadTooLarge
from callboard.messages.failure import Failure
from callboard.messages.wire import Drop, Ending, Report
from callboard.messages.wire import Halt as HaltMessage
from callboard.messages.wire import Recall as RecallMessage

if TYPE_CHECKING:
    from callboard.actors.manager import TaskManager

logger = logging.getLogger("callboard")

LOCAL = "local"
"""The client id of the process that the manager lives in."""


class Outbound:
    """Turns commands into messages, orders to the supervisor, and deliveries in this process."""

    def __init__(self, manager: TaskManager) -> None:
        self._manager = manager
        self._shelf = Shelf()

    def carry_out(self, command: Command, now: float) -> None:
        """Do what was decided."""
        if type(command) is Assign:
            for worker_id, entries in command.by_worker.items():
                self._assign(worker_id, entries, now)
        elif type(command) is Deliver:
            self._deliver(command, now)
        elif type(command) is Publish:
            self._manager.publisher.publish(command.notices, time.time() - (time.monotonic() - now))
        elif type(command) is Recall:
            self.tell(command.worker_id, RecallMessage(ids=command.ids), now)
        elif type(command) is Halt:
            self.tell(command.worker_id, HaltMessage(ids=command.ids, force=command.force), now)
        elif type(command) is Kill:
            self._kill(command, now)
        elif type(command) is Forget:
            self._forget(command.ids, now)
        elif type(command) is Warn:
            logger.warning("%s", command.text)

    def _assign(self, worker_id: str, assigned: Sequence[Entry], now: float) -> None:
        peer = self._manager.reception.peers.get(worker_id)
        if peer is None:
            return
        ledger = self._manager.dispatcher.ledger
        counted: set[str] = set()
        for entries in portions(assigned, lambda entry: burden(entry, ledger, counted)):
            frames = peer.assign(entries, self._manager.epoch, ledger, self._manager.codes, now)
            if fits(frames):
                self._manager.send(peer, frames, now)
            else:
                peer.missed()
                self._too_large(peer, entries, now)

    def _too_large(self, peer: Peer, entries: Sequence[Entry], now: float) -> None:
        error = PayloadTooLarge("what the task depends on is too much for one message; gather it by fan_out, or in steps")
        rows = range(len(entries))
        report = Report(
            epoch=self._manager.epoch,
            number=0,
            ids=[entry.task_id for entry in entries],
            fences=[entry.fence for entry in entries],
            endings=[Ending.FAILED for _ in rows],
            micros=[0 for _ in rows],
            errors=dict.fromkeys(rows, str(error)),
            failures=dict.fromkeys(rows, Failure.of(error)),
        )
        self._manager.dispatcher.report(peer.identity, report, [b"" for _ in rows], now)

    def _deliver(self, command: Deliver, now: float) -> None:
        if command.client == LOCAL:
            if self._manager.client is not None:
                self._manager.client.deliver(command.entries)
            return
        peer = self._manager.reception.peers.get(command.client)
        if peer is not None:
            for entries in portions(command.entries, weigh_outcome):
                self._manager.send(peer, peer.deliver(entries), now)

    def _forget(self, value_ids: list[str], now: float) -> None:
        for peer in list(self._manager.reception.peers.values()):
            known = peer.forget(value_ids)
            if known:
                self._manager.send(peer, encode(Drop(ids=known)), now)

    def tidy_codes(self, now: float) -> None:
        """Let go of code that nobody needs, here and at the workers, where there is much of it."""
        gone = self._shelf.tidy(self._manager.codes, lambda: code_in_use(self._manager.dispatcher))
        for peer in list(self._manager.reception.peers.values()) if gone else ():
            known = peer.forget_codes(gone)
            if known:
                self._manager.send(peer, encode(Drop(ids=[], codes=known)), now)

    def _kill(self, command: Kill, now: float) -> None:
        peer = self._manager.reception.peers.get(command.worker_id)
        if peer is None:
            return
        logger.warning("worker %r is ended: it %s", peer.name, command.reason)
        if peer.token is not None and self._manager.supervisor is not None:
            token, reason = peer.token, f"was ended, since it {command.reason}"
            self._manager.supervisor.mailbox.post(lambda supervisor: supervisor.kill(token, reason))
        else:
            self._manager.absences.missed(peer, command.reason, now)

    def tell(self, worker_id: str, message: Any, now: float) -> None:
        """Say something to a worker, if it is there."""
        peer = self._manager.reception.peers.get(worker_id)
        if peer is not None:
            self._manager.send(peer, encode(message), now)
