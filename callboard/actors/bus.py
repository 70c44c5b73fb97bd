"""The event bus of a process: an actor that hears what a manager publishes and runs the handlers.

A subscription is in force when `EventBus.add` returns, and hears nothing that was published before it was called: the
manager answers a last subscription of its own with a beacon, which can overtake neither the ones before it nor the
events. Sequences count per topic, so that what was missed is noticed.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

import zmq

from callboard.actors.actor import SocketActor, new_socket
from callboard.actors.mailbox import Mail
from callboard.actors.peer import Endpoint
from callboard.actors.publisher import BEACON, NONCE
from callboard.events.listener import Handler, Listeners, Subscription
from callboard.events.stream import EventStream
from callboard.events.topic import Pattern
from callboard.events.where import Where
from callboard.messages.codec import Packed, decode, load
from callboard.messages.errors import CannotConnect, WireError
from callboard.messages.event import Event
from callboard.messages.wire import Beacon, Published

logger = logging.getLogger("callboard")

GAP = "events.gap"
"""Topic of the event that tells a subscriber what it has missed; ``data``: topic, first, last, missed."""
PATIENCE = 10.0
"""Seconds within which a subscription must be in force."""


class EventBus(SocketActor):
    """Hears one manager's events. `add`, `stream` and `Listening.cancel` may be called from any thread but its own."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._listeners = Listeners()
        self._lock = threading.Lock()
        self._prefixes: Counter[str] = Counter()
        self._waiting: dict[bytes, Callable[[], None]] = {}
        self._next: dict[str, int] = {}
        self._epoch: str | None = None
        self._streams: set[EventStream] = set()

    # -- any thread -------------------------------------------------------------------------

    def add(self, topic: str, handler: Handler, where: Where | None = None) -> Listening:
        """Call ``handler(event)`` for the events of a topic pattern that fit ``where``, from now on."""
        subscription = self._listeners.prepare(topic, handler, where)
        prefix = subscription.pattern.prefix
        with self._lock:
            self._prefixes[prefix] += 1
            new = self._prefixes[prefix] == 1
        listening = Listening(self, subscription)
        if threading.get_ident() == self.thread_id:
            self._listeners.enter(subscription)  # a handler cannot wait for the beacon, and must hear what it causes now
            self._subscribe(prefix if new else None, lambda: None)
            return listening
        in_force: Future[None] = Future()

        def entered() -> None:
            self._listeners.enter(subscription)
            in_force.set_result(None)

        self.mailbox.post(lambda: self._subscribe(prefix if new else None, entered))
        try:
            in_force.result(PATIENCE)
        except FutureTimeout:
            listening.cancel()
            raise CannotConnect(f"the manager did not confirm the subscription to {topic!r} within {PATIENCE:g} s") from None
        return listening

    def stream(self, topic: str, where: Where | None = None) -> EventStream:
        """The events of a topic pattern as an async iterator, kept from now on."""
        stream = EventStream()
        listening = self.add(topic, stream.put, where)
        self._streams.add(stream)
        stream.when_closed(listening.cancel)
        return stream

    def settle(self, patience: float = 1.0) -> bool:
        """Wait until what was published before is delivered; False when it is not within ``patience`` seconds."""
        if threading.get_ident() == self.thread_id:
            return True
        heard = threading.Event()
        self.mailbox.post(lambda: self._subscribe(None, heard.set))
        return heard.wait(patience)

    def hear_out(self, patience: float) -> bool:
        """Likewise, and until async handlers have returned, too, which get ``patience`` seconds more."""
        return self.settle(patience) and self._listeners.runs.wait(patience)

    def release(self, pattern: Pattern) -> None:
        """One listener to the pattern has gone."""
        with self._lock:
            self._prefixes[pattern.prefix] -= 1
            last = self._prefixes[pattern.prefix] == 0
        if last:
            self.mailbox.post(lambda: self._unsubscribe(pattern.prefix))

    # -- the actor's thread -----------------------------------------------------------------

    def open(self) -> None:
        """Connect."""
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = new_socket(self.context, zmq.SUB, prepare=self._endpoint.prepare)
        self.socket.subscribe(BEACON)
        self.mailbox.watch(self.socket)
        self.socket.connect(self._endpoint.address)

    def close(self) -> None:
        """Disconnect, and end the streams."""
        if hasattr(self, "socket"):
            self.mailbox.unwatch(self.socket)
            self.socket.close(0)
        self.context.term()
        for stream in list(self._streams):
            stream.close()

    def receive(self, mail: Mail) -> None:
        """Deliver events, run orders."""
        for item in mail.items:
            item()
        for _, frames in mail.frames:
            try:
                self._heard(frames)
            except WireError as error:
                logger.warning("an event that is none: %s", error)

    def _subscribe(self, prefix: str | None, in_force: Callable[[], None]) -> None:
        if prefix is not None:
            self.socket.subscribe(prefix.encode())
        nonce = NONCE + secrets.token_hex(8).encode()
        self._waiting[nonce] = in_force
        self.socket.subscribe(nonce)

    def _unsubscribe(self, prefix: str) -> None:
        self.socket.unsubscribe(prefix.encode())
        self._next = {topic: number for topic, number in self._next.items() if self._subscribed(topic)}

    def _subscribed(self, topic: str) -> bool:
        with self._lock:
            return any(count and topic.startswith(prefix) for prefix, count in self._prefixes.items())

    def _heard(self, frames: list[zmq.Frame]) -> None:
        topic = frames[0].bytes
        message, payloads = decode(frames[1:])
        if isinstance(message, Beacon):
            self._beacon(topic, message)
        elif isinstance(message, Published):
            self._published(message, payloads)

    def _beacon(self, topic: bytes, message: Beacon) -> None:
        if message.epoch != self._epoch:
            self._epoch = message.epoch
            self._next.clear()
        in_force = self._waiting.pop(topic, None)
        for name, last in message.sequences.items():
            if self._subscribed(name):
                known = self._next.setdefault(name, last + 1)
                if known <= last:
                    self._missed(name, known, last)
                    self._next[name] = last + 1
        if in_force is not None:
            self.socket.unsubscribe(topic)
            in_force()

    def _published(self, message: Published, payloads: list[Packed]) -> None:
        if message.epoch != self._epoch:
            self._epoch = message.epoch
            self._next.clear()
        topic, first, count = message.topic, message.first, len(message.times)
        expected = self._next.get(topic)
        if expected is not None and first > expected:
            self._missed(topic, expected, first - 1)
        self._next[topic] = first + count
        rich = dict(zip(message.rich or (), payloads, strict=False))
        for row in range(count):
            data: dict[str, Any] = message.data[row]
            if row in rich:
                data = {**data, **load(rich[row])}
            self._listeners.deliver(
                Event(topic, message.times[row], first + row, message.ids[row], message.names[row], message.workers[row], data)
            )

    def _missed(self, topic: str, first: int, last: int) -> None:
        logger.warning("%d event(s) of %r were missed (%d to %d): this subscriber did not keep up", last - first + 1, topic, first, last)
        data = {"topic": topic, "first": first, "last": last, "missed": last - first + 1}
        self._listeners.deliver(Event(GAP, time.time(), data=data))


class Listening:
    """A handler that hears events, until `cancel`."""

    def __init__(self, bus: EventBus, subscription: Subscription) -> None:
        self._bus = bus
        self._subscription = subscription

    def cancel(self) -> None:
        """Hear nothing more. May be called again, and from the handler itself."""
        if self._subscription.active:
            self._subscription.cancel()
            self._bus.release(self._subscription.pattern)
