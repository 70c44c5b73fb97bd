"""The emitter of one process."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading

import pytest

from callboard.events import EventEmitter
from callboard.events.chain import BREADTH
from callboard.messages.errors import ChainTooDeep, InvalidSetting
from callboard.messages.event import Event


def test_an_event_carries_what_was_said() -> None:
    heard = list[Event]()
    emitter = EventEmitter(clock=lambda: 12.5)
    emitter.on("order.*", heard.append)
    event = emitter.emit("order.paid", name="cat", topic="art")
    assert heard == [event]
    assert event == Event("order.paid", 12.5, 1, data={"name": "cat", "topic": "art"})


def test_sequences_count_per_topic_whether_heard_or_not() -> None:
    heard = list[tuple[str, int]]()
    emitter = EventEmitter()
    assert emitter.emit("a") is None
    emitter.on("*", lambda event: heard.append((event.topic, event.sequence)))
    for topic in ("a", "b", "a"):
        emitter.emit(topic)
    assert heard == [("a", 2), ("b", 1), ("a", 3)]


def test_nothing_is_built_when_nobody_listens() -> None:
    times = list[float]()

    def clock() -> float:
        times.append(0.0)
        return 0.0

    emitter = EventEmitter(clock=clock)
    emitter.on("b", lambda event: None)
    emitter.emit("a")
    assert times == []
    emitter.emit("b")
    assert times == [0.0]


def test_sequences_have_no_gaps_from_many_threads() -> None:
    heard = list[int]()
    emitter = EventEmitter()
    emitter.on("a", lambda event: heard.append(event.sequence))
    threads = [threading.Thread(target=lambda: [emitter.emit("a") for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(heard) == list(range(1, 801))


def test_on_once_and_off() -> None:
    heard = list[str]()

    def always(event: Event) -> None:
        heard.append("always")

    emitter = EventEmitter()
    emitter.on("a", always)
    emitter.once("a", lambda event: heard.append("once"))
    emitter.emit("a")
    emitter.emit("a")
    assert emitter.off("a", always)
    assert not emitter.off("a", always)
    emitter.emit("a")
    assert heard == ["always", "once", "always"]


def test_where_chooses() -> None:
    heard = list[Event]()
    emitter = EventEmitter()
    emitter.on("order.paid", heard.append, where={"customer": ("ada", "bob")})
    for customer in ("ada", "eve", "bob"):
        emitter.emit("order.paid", customer=customer)
    assert [event.data["customer"] for event in heard] == ["ada", "bob"]


def test_a_custom_event_starts_a_chain_of_three() -> None:
    heard = list[str]()
    emitter = EventEmitter()
    emitter.on("order.paid", lambda event: emitter.emit("order.packed", item=event.data["item"]))
    emitter.on("order.packed", lambda event: emitter.emit("order.sent", item=event.data["item"]))
    emitter.on("order.sent", lambda event: heard.append(event.data["item"]))
    emitter.emit("order.paid", item="cat")
    assert heard == ["cat"]


def test_a_listener_that_starts_itself_is_stopped(caplog: pytest.LogCaptureFixture) -> None:
    heard = list[int]()

    def again(event: Event) -> None:
        heard.append(event.sequence)
        emitter.emit("a")

    emitter = EventEmitter()
    emitter.on("a", again)
    with caplog.at_level(logging.ERROR, "callboard"):
        emitter.emit("a")
    assert heard == list(range(1, 101))
    assert "emit('a'), started by 'a', would be number 101 of a chain" in caplog.text
    emitter.emit("a")
    assert len(heard) == 200


def test_an_async_listener_that_starts_itself_is_stopped() -> None:
    async def main() -> int:
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        count = 0

        async def again(event: Event) -> None:
            nonlocal count
            count += 1
            await asyncio.sleep(0)
            try:
                emitter.emit("a")
            except ChainTooDeep:
                ended.set_result(count)

        emitter = EventEmitter(max_chain=5)
        emitter.on("a", again)
        emitter.emit("a")
        return await ended

    assert asyncio.run(main()) == 5


def test_listeners_that_multiply_are_stopped(caplog: pytest.LogCaptureFixture) -> None:
    emitter = EventEmitter(max_chain=20)
    count = 0

    def twice(event: Event) -> None:
        nonlocal count
        count += 1
        emitter.emit("a")
        emitter.emit("b")

    emitter.on("*", twice)
    with caplog.at_level(logging.ERROR, "callboard"):
        emitter.emit("a")
    assert 20 * BREADTH <= count < 21 * BREADTH
    assert "is one of ever more" in caplog.text


def test_a_listener_may_emit_as_much_as_it_likes_of_what_nobody_turns_back() -> None:
    emitter = EventEmitter(max_chain=3)
    heard: list[Event] = []
    emitter.on("rows", lambda event: [emitter.emit("row") for _ in range(4 * BREADTH)] and None)
    emitter.on("row", lambda event: emitter.emit("stored") and None)
    emitter.on("stored", heard.append)
    emitter.emit("rows")
    assert len(heard) == 4 * BREADTH


def test_declared_topics_alone_may_be_used() -> None:
    emitter = EventEmitter(["order.paid", "order.sent"])
    emitter.on("order.*", lambda event: None)
    assert emitter.emit("order.paid") is not None
    with pytest.raises(InvalidSetting, match=r"'order.payed' is not among the topics of this emitter: order.paid, order.sent"):
        emitter.emit("order.payed")
    for subscribe in (emitter.on, emitter.once):
        with pytest.raises(InvalidSetting, match=r"'ordre.\*' is not among the topics"):
            subscribe("ordre.*", lambda event: None)
    with pytest.raises(InvalidSetting, match="'ordre' is not among the topics"):
        emitter.events("ordre")


@pytest.mark.parametrize("topic", ["", "a b", "a.*"])
def test_what_is_no_topic_is_refused(topic: str) -> None:
    with pytest.raises(InvalidSetting, match="topic"):
        EventEmitter().emit(topic)
    with pytest.raises(InvalidSetting, match="topic"):
        EventEmitter([topic])


def test_one_text_is_no_collection_of_topics() -> None:
    with pytest.raises(InvalidSetting, match="topics must be several topics"):
        EventEmitter("order.paid")


def test_events_are_read_as_they_come() -> None:
    async def main() -> list[int]:
        emitter = EventEmitter()
        stream = emitter.events("a.*", lambda event: event.sequence != 2)
        for topic in ("a.b", "a.b", "c", "a.b"):
            emitter.emit(topic)
        stream.close()
        emitter.emit("a.b")
        return [event.sequence async for event in stream]

    assert asyncio.run(main()) == [1, 3]


def test_a_stream_that_nobody_holds_is_let_go() -> None:
    emitter = EventEmitter()
    stream = emitter.events("a")
    assert emitter.emit("a") is not None
    del stream
    gc.collect()
    emitter.emit("a")
    assert emitter.emit("a") is None
