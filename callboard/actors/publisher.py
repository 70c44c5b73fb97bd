"""The manager's side of events: who listens to what, and what they are sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import zmq

from callboard.actors.dispatch.command import Notice
from callboard.actors.frame import send_frames
from callboard.messages.codec import columns, encode
from callboard.messages.event import TASK_TOPICS, WORKER_TOPICS
from callboard.messages.wire import Beacon, Published

NONCE = b"?"
"""Prefix of the subscription by which a subscriber asks for a beacon of its own: all before it is in force then."""
BEACON = b"!"
KNOWN_TOPICS = (*TASK_TOPICS, *WORKER_TOPICS, "group.completed")
FORGET_AFTER = 60.0
"""Seconds for which a topic is still counted when its last subscriber has gone: it may only have been cut off."""
MAX_RUN = 256
"""Events in one message, each of which may have 16 KiB of plain values."""
RUN_BYTES = 3 * 1024
"""What one message of several events should have at most, as far as the ones before tell."""
QUEUED = 12_000
"""Messages that may wait for a subscriber that does not read; it loses the rest and sees a gap. So some 36 MB wait for it
at most, but for events of more than `RUN_BYTES` each."""


class Publisher:
    """Publishes notices on an XPUB socket. Not thread-safe."""

    def __init__(self, socket: zmq.Socket[bytes], epoch: str) -> None:
        self._socket = socket
        self._epoch = epoch
        self._prefixes: set[str] = set()
        self._going: dict[str, float] = {}
        self._sequences: dict[str, int] = {}
        self._limits: dict[str, int] = {}  # how many events of a topic a message should have
        self.listening = False

    def heard(self, frame: bytes, now: float) -> bool:
        """A subscription or its end; True when it changes what is wanted."""
        subscribe, topic = frame[:1] == b"\x01", frame[1:]
        if topic.startswith(NONCE):
            if subscribe:
                self._send(topic, encode(self._beacon()))
            return False
        if topic.startswith(BEACON):
            self.listening = subscribe
            return False
        prefix = topic.decode("utf-8", "replace")
        if subscribe:
            self._going.pop(prefix, None)
            self._prefixes.add(prefix)
        else:
            self._going[prefix] = now + FORGET_AFTER
        return subscribe

    def renew(self, socket: zmq.Socket[bytes], now: float) -> None:
        """Publish on another socket; the subscribers of the old one have yet to come back."""
        self._socket = socket
        self._going.update(dict.fromkeys(self._prefixes, now + FORGET_AFTER))

    def wants(self, topic: str) -> bool:
        """Whether anybody listens to a topic."""
        return any(topic.startswith(prefix) for prefix in self._prefixes)

    def wanted(self) -> set[str]:
        """Which of the topics of tasks and workers anybody listens to."""
        return {topic for topic in KNOWN_TOPICS if self.wants(topic)}

    def publish(self, notices: Iterable[Notice], now: float) -> None:
        """Send events, those of one topic that follow each other in one message.

        They happened ``now`` (seconds since the epoch), unless they say otherwise: what followed from them, such as the
        start of a task, may have a later time already when they are sent.
        """
        run: list[Notice] = []
        for notice in notices:
            if run and (run[0].topic != notice.topic or len(run) >= self._limits.get(notice.topic, MAX_RUN)):
                self._publish_run(run, now)
                run = []
            if self.wants(notice.topic):
                run.append(notice)
        if run:
            self._publish_run(run, now)

    def _publish_run(self, run: list[Notice], now: float) -> None:
        topic = run[0].topic
        first = self._sequences.get(topic, 0) + 1
        self._sequences[topic] = first + len(run) - 1
        laid = columns([notice.rich for notice in run if notice.rich is not None])
        message = Published(
            epoch=self._epoch,
            topic=topic,
            first=first,
            times=[notice.time or now for notice in run],
            ids=[notice.task_id for notice in run],
            names=[notice.name for notice in run],
            workers=[notice.worker for notice in run],
            data=[notice.data for notice in run],
            rich=[row for row, notice in enumerate(run) if notice.rich is not None] or None,
            sizes=laid.sizes,
            large=laid.large,
        )
        frames = encode(message, laid.frames)
        self._limits[topic] = max(1, min(MAX_RUN, RUN_BYTES * len(run) // sum(map(len, frames))))
        self._send(topic.encode(), frames)

    def _beacon(self) -> Beacon:
        return Beacon(epoch=self._epoch, sequences=dict(self._sequences))

    def beacon(self, now: float) -> bool:
        """Tell where each topic stands, and forget topics that nobody came back to; True when something was forgotten."""
        if self.listening and self._sequences:
            self._send(BEACON, encode(self._beacon()))
        gone = [prefix for prefix, until in self._going.items() if until <= now]
        for prefix in gone:
            del self._going[prefix]
            self._prefixes.discard(prefix)
        return bool(gone)

    def _send(self, topic: bytes, frames: list[Any]) -> None:
        try:
            send_frames(self._socket, [topic, *frames])
        except zmq.Again:
            pass  # a subscriber that does not read sees the gap
