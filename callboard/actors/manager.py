"""The TaskManager: the actor that owns the sockets, tells the dispatcher what happens, and carries out what it decides."""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zmq

from callboard.actors.absence import Absences
from callboard.actors.actor import SocketActor
from callboard.actors.client import Client
from callboard.actors.courier import Peer, keep_codes
from callboard.actors.dispatch.command import Notice
from callboard.actors.dispatch.dispatcher import Dispatcher
from callboard.actors.dispatch.matcher import MAX_FENCES
from callboard.actors.dispatch.rule import Rule
from callboard.actors.dump import Dumps
from callboard.actors.ended import Ended
from callboard.actors.frame import send_frames
from callboard.actors.gate import Gate
from callboard.actors.inquiry import Inquiry
from callboard.actors.keyring import Address, ServerKeys
from callboard.actors.led import LedMailbox
from callboard.actors.mailbox import Mail
from callboard.actors.outbound import LOCAL, Outbound
from callboard.actors.publisher import Publisher
from callboard.actors.reception import Reception
from callboard.actors.supervisor import Death, Expected
from callboard.messages.codec import encode
from callboard.messages.errors import PlaygroundClosed
from callboard.messages.limit import MAX_PAYLOAD
from callboard.messages.status import TaskStatus
from callboard.messages.task import Submission
from callboard.messages.wire import Goodbye, Probe, Watch

if TYPE_CHECKING:
    from callboard.actors.supervisor import Supervisor

PROBE_EVERY = 0.5
IDLE_PROBE_EVERY = 0.75
"""Seconds between probes of all peers: while tasks are open, and while none is, so that who waits for work costs next to nothing."""
EPOCHS = 1 << 14
"""How many ranges there are from which a manager numbers its assignments: see `Dispatcher`."""
ROUNDS = 4
"""How often in one step what was decided is carried out, before others are heard: rules may start tasks without end."""


@dataclass(frozen=True, slots=True)
class ManagerSettings:
    """How a manager is set up. ``address`` None: local workers only. Sizes are bytes."""

    name: str = "playground"
    address: Address | None = None
    keys: ServerKeys | None = None
    credentials: Callable[[str], bool] | None = None
    max_payload: int = MAX_PAYLOAD
    max_worker_deaths: int = 3
    max_chain: int = 1000


class TaskManager(SocketActor):
    """Assigns tasks to workers. ``client`` is the one of this process, to which outcomes go without a socket.

    Submissions and orders from this process come in through the mailbox: a `Submission`, or a callable that is called
    in the manager's thread.
    """

    mailbox: LedMailbox

    def __init__(self, settings: ManagerSettings, client: Client | None = None) -> None:
        gate = Gate(settings.address, settings.keys, settings.credentials)  # first: without a folder there is no manager
        super().__init__()
        self.settings = settings
        self.epoch = secrets.token_hex(8)
        self.started = time.time()
        self.dispatcher = Dispatcher(
            max_worker_deaths=settings.max_worker_deaths,
            max_chain=settings.max_chain,
            random=random.random,
            fences=secrets.randbelow(EPOCHS) * MAX_FENCES,
        )
        self.inquiry = Inquiry(self.dispatcher)
        self.outbound = Outbound(self)
        self.dumps = Dumps(self.dispatcher.agenda, self.outbound.tell)
        self.reception = Reception(self)
        self.absences = Absences(self.dispatcher, self.reception)
        self.codes: dict[str, bytes] = {}
        self.supervisor: Supervisor | None = None
        self.dismissed = False
        self.gate = gate
        self.client = client
        self._drains: list[Future[None]] = []
        self._probed = 0.0
        self._hurry = False  # the last step has not come to its end

    @staticmethod
    def _create_actor_inbox() -> Any:
        return LedMailbox()

    # -- life -------------------------------------------------------------------------------

    def open(self) -> None:
        """Bind the sockets."""
        self.gate.open(self.mailbox)
        self.router, self.xpub = self.gate.router, self.gate.xpub
        self.publisher = Publisher(self.xpub, self.epoch)

    def close(self) -> None:
        """Close the sockets."""
        self.gate.close()
        error = PlaygroundClosed("the manager has ended")
        self.dumps.abandon(error)
        for drain in self._drains:
            if not drain.done():
                drain.set_exception(error)

    # -- what comes in ------------------------------------------------------------------------

    def _handle_receive(self, message: Any) -> Any:
        answer = super()._handle_receive(message)
        if self.mailbox.sought and self.client is not None and not self.client.open_count:
            self.mailbox.step_aside()  # whoever waited will wait again, and can do this itself
        return answer

    def receive(self, mail: Mail) -> None:
        """Take everything in, then decide once."""
        now = time.monotonic()
        deaths = self._take(mail.items, now) if mail.items else ()
        for socket, frames in mail.frames:
            if socket is self.router:
                self.reception.hear(frames, now)
            elif socket is self.xpub:
                if self.publisher.heard(frames[0].bytes, now):
                    self.interest_changed()
            else:
                self.gate.answer(frames)
        for death in deaths:
            self.absences.died(death, now)  # after its last words, which may be a result
        self.step(now)

    def _take(self, items: list[Any], now: float) -> list[Death]:
        submissions: list[Submission] = []
        deaths: list[Death] = []
        for item in items:
            if type(item) is Submission:
                submissions.append(item)
                continue
            if submissions:  # in the order in which they came: an order may be about them
                self.submit_local(submissions, now)
                submissions = []
            if isinstance(item, Death):
                deaths.append(item)
            elif isinstance(item, Expected):
                self.absences.expected(item, now)
            else:
                item()
        if submissions:
            self.submit_local(submissions, now)
        return deaths

    def submit_local(self, submissions: Sequence[Submission], now: float) -> None:
        """Take in tasks of this process."""
        keep_codes(submissions, self.codes)
        refused = self.dispatcher.submit(LOCAL, submissions, now, time.time(), fresh=True)
        if refused and self.client is not None:
            self.client.deliver([Ended.by(submission.task_id, submission.name, error) for submission, error in refused])

    def submit_one(self, submission: Submission) -> None:
        """Take in one task of this process, or raise why not. For `ask`."""
        now = time.monotonic()
        keep_codes([submission], self.codes)
        refused = self.dispatcher.submit(LOCAL, [submission], now, time.time())
        if refused:
            raise refused[0][1]
        self.step(now)

    def ask(self, client: str, what: str, arguments: dict[str, Any]) -> Any:
        """Answer a client's question, or carry out its order; raises `CallboardError`. A Future is an answer that comes later."""
        now = time.monotonic()
        if what == "cancel":
            answer: Any = self.dispatcher.cancel(arguments["ids"], arguments["force"], now)
        elif what == "cancel_waiting":
            answer = self.dispatcher.cancel([task_id for task_id in arguments["ids"] if self._not_begun(task_id)], False, now)
        elif what == "drop_rule":
            self.dispatcher.endings.rules.drop(arguments["rule_id"])
            self.interest_changed()
            answer = None
        elif what == "dump":
            answer = self.dumps.begin(self.dispatcher.roster.workers.values(), now)
        else:
            answer = self.inquiry.answer(what, arguments)
        self.step(now)
        return answer

    def _not_begun(self, task_id: str) -> bool:
        entry = self.dispatcher.ledger.entries.get(task_id)
        return entry is not None and entry.seen_status() is TaskStatus.PENDING

    def add_rule(self, rule: Rule) -> None:
        """Start a task whenever the rule's event happens."""
        keep_codes([rule.template], self.codes)
        self.dispatcher.endings.rules.add(rule)
        self.interest_changed()

    def say(self, notice: Notice, cause: str | None = None) -> None:
        """Publish what a person or a worker says."""
        entry = self.dispatcher.ledger.find(cause) if cause is not None else None
        self.dispatcher.endings.publish(notice, entry, time.monotonic())

    def authorize(self, key: str) -> None:
        """Have who proves this public key, too."""
        self.gate.authenticator.allow(key)

    def revoke(self, key: str) -> None:
        """Have who proves this public key no longer; who is here by it is cut off, and what it ran is given to others."""
        now = time.monotonic()
        self.gate.authenticator.revoke(key)
        self.reception.expel(key, now)
        self.xpub = self.gate.renew_events()
        self.publisher.renew(self.xpub, now)
        self.step(now)

    # -- local workers ----------------------------------------------------------------------

    def line_up(self, tokens: Sequence[str]) -> None:
        """Local workers that were started together joined in this order."""
        peers = [self.reception.by_token(token) for token in tokens]
        self.dispatcher.roster.line_up([peer.identity for peer in peers if peer is not None], time.monotonic())

    # -- what goes out ------------------------------------------------------------------------

    def step(self, now: float) -> None:
        """Have the dispatcher decide, and carry it out; look at the clock."""
        if now >= self._next_probe():
            self._probe(now)
        self._hurry = True
        for _ in range(ROUNDS):
            for command in self.dispatcher.flush(now):
                self.outbound.carry_out(command, now)
            if not self.dispatcher.stirred:
                self._hurry = False
                break
        if self._drains and self.dispatcher.drained:
            drains, self._drains = self._drains, []
            for drain in drains:
                drain.set_result(None)

    def send(self, peer: Peer, frames: list[Any], now: float) -> None:
        """Send to a peer; one that cannot be reached is lost."""
        try:
            send_frames(self.router, [peer.address, *frames])
        except zmq.Again:
            self.absences.missed(peer, "does not read what it is sent", now)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self.absences.missed(peer, "cannot be reached any more", now)

    def _next_probe(self) -> float:
        return self._probed + (PROBE_EVERY if self.dispatcher.ledger.open else IDLE_PROBE_EVERY)

    def _probe(self, now: float) -> None:
        self._probed = now
        self.outbound.tidy_codes(now)
        for peer in list(self.reception.peers.values()):
            self.send(peer, encode(Probe(acked=peer.acked)), now)
        if self.publisher.beacon(now):
            self.interest_changed()

    def interest_changed(self) -> None:
        """Somebody listens, or no longer: build and ask for no more than is heard."""
        wanted = self.publisher.wanted()
        wanted |= {topic for topic in self.inquiry.topics if self.dispatcher.endings.rules.heed(topic)}
        self.dispatcher.endings.wanted = wanted
        for peer in list(self.reception.peers.values()):
            if peer.kind == "worker":
                self.send(peer, encode(self.watch()), time.monotonic())

    def watch(self) -> Watch:
        """What workers should tell."""
        wanted = self.dispatcher.endings.wanted
        return Watch(started="task.started" in wanted, progress="task.progress" in wanted)

    def next_deadline(self) -> float | None:
        """When the dispatcher or the probes want to be looked at."""
        if self._hurry:
            return 0.0
        due = self.dispatcher.agenda.next()
        if not self.reception.peers and not self.publisher.listening:
            return due
        probe = self._next_probe()
        return probe if due is None else min(due, probe)

    # -- the end, in orders from this process ---------------------------------------------------

    def drain(self, answer: Future[None]) -> None:
        """Take the end in hand: fail what nobody could do, and say when all has ended."""
        self._drains.append(answer)
        self.dispatcher.close(time.monotonic())

    def cancel_everything(self) -> None:
        """Cancel all that is open; what runs is stopped by force."""
        entries = self.dispatcher.ledger.entries
        self.dispatcher.cancel([task_id for task_id, entry in entries.items() if not entry.final], True, time.monotonic())

    def dismiss(self) -> None:
        """Tell all peers that it is over, and those that still come."""
        self.dismissed = True
        now = time.monotonic()
        for peer in list(self.reception.peers.values()):
            self.send(peer, encode(Goodbye()), now)

    # -- for people, through pykka's proxy ------------------------------------------------------

    def get_task(self, task_id: str) -> Any:
        """What is known of a task; raises `UnknownTask`."""
        return self.inquiry.task(task_id)

    @property
    def pid(self) -> int:
        """The process that the manager lives in."""
        return os.getpid()
