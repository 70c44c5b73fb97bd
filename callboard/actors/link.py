"""The two ways to a manager: in this process, through its mailbox; elsewhere, over a socket."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

import pykka
from pykka.messages import ProxyCall

from callboard.actors.announcement import announcement, split
from callboard.actors.client import Client, waited
from callboard.actors.dispatch.command import Notice
from callboard.actors.dispatch.rule import Rule
from callboard.actors.lead import Lead
from callboard.actors.manager import TaskManager
from callboard.actors.outbound import LOCAL
from callboard.actors.peer import Endpoint, PeerActor, Versions
from callboard.actors.uplink import Question, Uplink
from callboard.events.topic import Pattern
from callboard.messages.codec import Packed, encode, pack
from callboard.messages.errors import CannotConnect, PlaygroundClosed
from callboard.messages.payload import dumps
from callboard.messages.task import Submission, fresh_id
from callboard.messages.wire import AnyMessage, Goodbye, Hello, Terms, Welcome

logger = logging.getLogger("callboard")

FLUSH_PATIENCE = 10.0
"""Seconds that a manager elsewhere may take to answer that it has dealt with all that was said."""


class LocalLink:
    """To the manager of this process. Thread-safe."""

    def __init__(self, manager: TaskManager, ref: pykka.ActorRef[TaskManager], client: Client) -> None:
        self._manager = manager
        self._ref = ref
        self.lead = Lead(manager, client)
        self.submit = manager.hand
        """Hand over a task: a deque's append, and a wake-up if the manager sleeps."""

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a method in the manager's thread and return what it does; in that thread itself, at once."""
        if threading.get_ident() == self._manager.thread_id:
            return getattr(self._manager, name)(*arguments)
        try:
            return self._ref.ask(ProxyCall(attr_path=(name,), args=arguments, kwargs={}))
        except pykka.ActorDeadError:
            raise PlaygroundClosed("the playground has ended") from None

    def submit_asking(self, submission: Submission) -> None:
        """Hand over a task and wait until it is accepted."""
        self.call("submit_one", submission)

    def ask(self, what: str, arguments: dict[str, Any]) -> Any:
        """Ask the manager."""
        answer = self.call("ask", LOCAL, what, arguments)
        return waited(answer, self._manager.thread_id) if isinstance(answer, Future) else answer

    def add_rule(self, pattern: str, where: Mapping[str, Any], template: Submission) -> str:
        """Have events start a task; returns the rule's id."""
        rule = Rule(fresh_id(), Pattern(pattern), where, template, LOCAL)
        self.call("add_rule", rule)
        return rule.rule_id

    def drop_rule(self, rule_id: str) -> None:
        """Have them start it no longer."""
        self.ask("drop_rule", {"rule_id": rule_id})

    def flush(self) -> None:
        """Wait until the manager has dealt with what was handed over before, and has published what was said."""
        self.call("step", time.monotonic())

    def put(self, value_id: str, packed: Packed) -> None:
        """Keep a value for tasks."""
        values = self._manager.dispatcher.ledger.values
        self._manager.mailbox.post(lambda: values.put(value_id, LOCAL, packed))

    def drop(self, value_id: str) -> None:
        """Nobody here will pass the value any more. Called by a finaliser."""
        values = self._manager.dispatcher.ledger.values
        self._manager.mailbox.post(lambda: values.drop(value_id))

    def say(self, topic: str, data: dict[str, Any]) -> None:
        """Publish an event."""
        plain, rich = split(data)
        what = f"the data of event {topic!r}"
        packed = pack(dumps(rich, what), self._manager.settings.max_payload, what) if rich else None
        notice = Notice(topic, data=plain, rich=packed, time=time.time())
        self._manager.hand(lambda: self._manager.say(notice))


class ClientLink(PeerActor):
    """To a manager elsewhere. An actor; its public methods may be called from any thread."""

    def __init__(self, endpoint: Endpoint, client: Client, name: str) -> None:
        super().__init__(endpoint)
        self.name = name
        self.client = client
        self.uplink = Uplink(self.send, client.deliver, self.greeting)
        self.over: Future[None] = Future()
        """Done when the manager has said that it ends, or we have taken leave."""

    # -- any thread -------------------------------------------------------------------------

    def submit(self, submission: Submission) -> None:
        """Hand over a task."""
        self.hand(submission)

    def submit_asking(self, submission: Submission) -> None:
        """Hand over a task and wait until it is accepted."""
        self._ordered(lambda answer: self.uplink.submit_asking(submission, answer))

    def ask(self, what: str, arguments: dict[str, Any]) -> Any:
        """Ask the manager."""
        return self._ordered(lambda answer: self.uplink.ask(Question(what, arguments, answer)))

    def add_rule(self, pattern: str, where: Mapping[str, Any], template: Submission) -> str:
        """Have events start a task; returns the rule's id."""
        terms = Terms(rule_id=fresh_id(), pattern=Pattern(pattern).text, where=dict(where))
        self._ordered(lambda answer: self.uplink.add_rule(terms, template, answer))
        return terms.rule_id

    def drop_rule(self, rule_id: str) -> None:
        """Have them start it no longer."""
        self._ordered(lambda answer: self.uplink.drop_rule(rule_id, answer))

    def flush(self) -> None:
        """Wait until the manager has dealt with what was handed over before; `CannotConnect` when it is away for long."""
        pong: Future[Any] = Future()
        self.mailbox.post(lambda: self.uplink.ask(Question("ping", {}, pong)))
        try:
            pong.result(FLUSH_PATIENCE)
        except FutureTimeout:
            raise CannotConnect(f"the manager at {self.endpoint.address} did not answer within {FLUSH_PATIENCE:g} s") from None

    def put(self, value_id: str, packed: Packed) -> None:
        """Keep a value for tasks; returns when the manager has it."""
        self._ordered(lambda answer: self.uplink.put(value_id, packed, answer))

    def drop(self, value_id: str) -> None:
        """Nobody here will pass the value any more. Called by a finaliser."""
        self.mailbox.post(lambda: self.uplink.drop(value_id))

    def say(self, topic: str, data: dict[str, Any]) -> None:
        """Publish an event."""
        frames = announcement(topic, data, time.time(), self.client.max_payload)
        self.hand(lambda: self.send(frames))

    def _ordered(self, order: Any) -> Any:
        answer: Future[Any] = Future()
        self.mailbox.post(lambda: order(answer))
        return waited(answer, self.thread_id)

    # -- the actor's thread -----------------------------------------------------------------

    def hello(self) -> Hello:
        """Who this client is."""
        mine = Versions.here()
        return Hello(
            python=mine.python, cloudpickle=mine.cloudpickle, peer="client", name=self.name, epoch=self.epoch, number=self.greeting.number
        )

    def welcomed(self, message: Welcome) -> None:
        """Say what the manager may have missed, or has not heard yet."""
        self.client.max_payload = message.max_payload
        self.uplink.rejoined(message.settled)

    def lost(self) -> None:
        """Say so, since whoever waits for a task now waits for a manager."""
        if not self.over.done():
            logger.warning("the manager at %s cannot be reached; what is open waits for it to come back", self.endpoint.address)

    def refused(self, reason: str) -> None:
        """Nobody will finish what is open."""
        self._over(reason)

    def hear(self, message: AnyMessage, payloads: list[Packed]) -> None:
        """Take results and answers."""
        if isinstance(message, Goodbye):
            self._over("the manager has ended", ended=True)
        else:
            self.uplink.hear(message, payloads)

    def take(self, items: list[Any]) -> None:
        """Send what was handed over."""
        submissions: list[Submission] = []
        for item in items:
            if type(item) is Submission:
                submissions.append(item)
                continue
            self.uplink.submit(submissions)  # in the order in which they came: an order may be about them
            submissions = []
            item()
        self.uplink.submit(submissions)

    def close(self) -> None:
        """Take leave."""
        if self.connected:
            self.send(encode(Goodbye()))
        self._over("the connection was closed")
        super().close()

    def _over(self, reason: str, ended: bool = False) -> None:
        error = PlaygroundClosed(reason)
        self.client.detach(reason, ended=ended)
        self.uplink.abandon(error)
        self.client.abandon(error)
        if not self.over.done():
            self.over.set_result(None)
