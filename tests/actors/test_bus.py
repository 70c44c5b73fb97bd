"""Events over real sockets: a publisher's side and a subscriber's."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from callboard.actors.bus import GAP, EventBus
from callboard.actors.dispatch.command import Notice
from callboard.actors.peer import Endpoint
from callboard.actors.publisher import FORGET_AFTER, Publisher
from callboard.messages.errors import InvalidSetting
from callboard.messages.event import Event
from callboard.messages.payload import dumps
from tests.playground.crew import until


class Station:
    """A publisher on a socket of its own, which takes subscriptions in a thread, as the manager does in its poll."""

    def __init__(self, address: str, epoch: str = "one") -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        self.socket = self.context.socket(zmq.XPUB)
        self.socket.bind(address)
        self.publisher = Publisher(self.socket, epoch)
        self.now = 0.0
        self.lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while not self._over.is_set():
            with self.lock:
                while self.socket.poll(0):
                    self.publisher.heard(self.socket.recv(), self.now)
            time.sleep(0.002)

    def publish(self, *topics: str, **data: Any) -> None:
        with self.lock:
            self.publisher.publish([Notice(topic, data=data) for topic in topics], 5.0)

    def beacon(self) -> None:
        with self.lock:
            self.publisher.beacon(self.now)

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self.context.destroy(0)


@pytest.fixture
def address(tmp_path: Any) -> str:
    return f"ipc://{tmp_path}/events"


@pytest.fixture
def station(address: str) -> Iterator[Station]:
    made = Station(address)
    yield made
    made.close()


@pytest.fixture
def bus(address: str, station: Station) -> Iterator[EventBus]:
    made, _ = EventBus.launch(Endpoint(address))
    yield made
    assert made.end(5)


def test_a_subscription_is_in_force_when_it_returns(bus: EventBus, station: Station) -> None:
    for number in range(30):
        heard: list[Event] = []
        listening = bus.add(f"topic-{number}", heard.append)
        station.publish(f"topic-{number}", number=number)
        until(lambda heard=heard: heard, "the event")
        assert heard[0].data == {"number": number} and heard[0].sequence == 1 and heard[0].time == 5.0
        listening.cancel()


def test_nothing_is_built_for_topics_that_nobody_listens_to(bus: EventBus, station: Station) -> None:
    assert not station.publisher.wants("task.started") and station.publisher.wanted() == set()
    listening = bus.add("task.*", lambda event: None)
    assert station.publisher.wants("task.started") and "task.started" in station.publisher.wanted()
    assert not station.publisher.wants("worker.joined")
    listening.cancel()
    station.publish("unheard")
    assert station.publisher.wants("task.started")  # for a while: the subscriber may only have been cut off
    until(lambda: station.publisher._going, "the word of it")
    station.now = FORGET_AFTER + 1
    station.beacon()
    assert not station.publisher.wants("task.started")


def test_sequences_count_per_topic_and_gaps_are_told(bus: EventBus, station: Station, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []
    gaps: list[Event] = []
    bus.add("count.*", heard.append)
    bus.add(GAP, gaps.append)
    station.publish("count.a", "count.a", "count.b")
    until(lambda: len(heard) == 3, "three events")
    assert [(event.topic, event.sequence) for event in heard] == [("count.a", 1), ("count.a", 2), ("count.b", 1)] and not gaps
    with caplog.at_level(logging.WARNING, "callboard"):
        station.publisher._sequences["count.a"] += 3  # as if three messages had been lost on the way
        station.publish("count.a")
        until(lambda: len(heard) == 4, "the event after the gap")
    assert len(gaps) == 1 and gaps[0].data == {"topic": "count.a", "first": 3, "last": 5, "missed": 3}
    assert heard[-1].sequence == 6 and "3 event(s) of 'count.a' were missed" in caplog.text


def test_a_beacon_tells_quiet_subscribers_of_a_gap(bus: EventBus, station: Station) -> None:
    gaps: list[Event] = []
    heard: list[Event] = []
    bus.add("count.a", heard.append)
    bus.add(GAP, gaps.append)
    station.publish("count.a")
    until(lambda: heard, "the event")
    station.publisher._sequences["count.a"] += 2
    station.beacon()
    until(lambda: gaps, "the gap")
    assert gaps[0].data["missed"] == 2
    station.beacon()
    station.publish("count.a")
    until(lambda: len(heard) == 2, "the next event")
    assert len(gaps) == 1 and heard[1].sequence == 4


def test_what_came_before_a_subscription_is_no_gap(bus: EventBus, station: Station) -> None:
    gaps: list[Event] = []
    bus.add(GAP, gaps.append)
    before: list[Event] = []
    first = bus.add("count.a", before.append)
    station.publish(*["count.a"] * 5)
    until(lambda: len(before) == 5, "the first five")
    first.cancel()
    heard: list[Event] = []
    bus.add("count.a", heard.append)
    station.publish("count.a")
    until(lambda: heard, "the event")
    assert heard[0].sequence == 6 and not gaps


def test_a_new_epoch_begins_to_count_anew(bus: EventBus, station: Station) -> None:
    gaps: list[Event] = []
    heard: list[Event] = []
    bus.add("count.a", heard.append)
    bus.add(GAP, gaps.append)
    station.publish(*["count.a"] * 3)
    station.publisher._epoch, station.publisher._sequences = "two", {}
    station.publish("count.a")
    until(lambda: len(heard) == 4, "four events")
    assert [event.sequence for event in heard] == [1, 2, 3, 1] and not gaps


def test_rich_data_is_loaded(bus: EventBus, station: Station) -> None:
    heard: list[Event] = []
    bus.add("rich", heard.append)
    payload = dumps({"odd": {1, 2}}, "the data")
    assert isinstance(payload, bytes)
    with station.lock:
        station.publisher.publish([Notice("rich", data={"plain": 1}, rich=payload), Notice("rich", data={"plain": 2})], 1.0)
    until(lambda: len(heard) == 2, "two events")
    assert [dict(event.data) for event in heard] == [{"plain": 1, "odd": {1, 2}}, {"plain": 2}]


def test_what_is_no_event_is_logged_and_left(bus: EventBus, station: Station, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []
    bus.add("noise", heard.append)
    with caplog.at_level(logging.WARNING, "callboard"), station.lock:
        station.socket.send_multipart([b"noise", b"no message"])
        station.socket.send_multipart([b"noise"])
    station.publish("noise")
    until(lambda: heard, "the event after it")
    assert "an event that is none" in caplog.text


def test_a_pattern_that_is_none_leaves_nothing_behind(bus: EventBus) -> None:
    with pytest.raises(InvalidSetting):
        bus.add("a b", lambda event: None)
    assert not bus._prefixes


def test_two_listeners_to_one_topic_are_one_subscription(bus: EventBus, station: Station) -> None:
    first: list[Event] = []
    second: list[Event] = []
    one, two = bus.add("shared", first.append), bus.add("shared", second.append)
    station.publish("shared")
    until(lambda: first and second, "both")
    one.cancel()
    one.cancel()
    station.publish("shared")
    until(lambda: len(second) == 2, "the second listener's next")
    assert len(first) == 1 and station.publisher.wants("shared")
    two.cancel()


def test_the_end_of_the_bus_ends_its_streams(address: str, station: Station, no_leaks: None) -> None:
    import asyncio

    bus, _ = EventBus.launch(Endpoint(address))

    async def main() -> list[str]:
        stream = bus.stream("stream.*")
        station.publish("stream.a", "stream.b")
        bus.settle()
        threading.Thread(target=bus.end, args=(5,)).start()
        return [event.topic async for event in stream]

    assert asyncio.run(main()) == ["stream.a", "stream.b"]
    until(lambda: not bus.actor_ref.is_alive(), "the end")
