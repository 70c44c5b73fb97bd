"""Who listens, and how an event reaches them."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading

import pytest

from callboard.events import Listeners, Subscription
from callboard.events.listener import MAX_KNOWN_TOPICS
from callboard.messages.errors import InvalidSetting
from callboard.messages.event import Event


def event(topic: str, sequence: int = 1) -> Event:
    return Event(topic, 0.0, sequence)


def test_events_reach_whom_they_concern_in_the_order_of_registration() -> None:
    listeners, heard = Listeners(), list[str]()
    for topic in ("*", "task.*", "task.failed", "worker.*"):
        listeners.add(topic, lambda event, topic=topic: heard.append(topic))
    listeners.deliver(event("task.failed"))
    assert heard == ["*", "task.*", "task.failed"]


def test_a_cancelled_subscription_hears_nothing_more() -> None:
    listeners, heard = Listeners(), list[Event]()
    subscription = listeners.add("a", heard.append)
    listeners.deliver(event("a", 1))
    assert subscription.active
    subscription.cancel()
    subscription.cancel()
    listeners.deliver(event("a", 2))
    assert not subscription.active
    assert [each.sequence for each in heard] == [1]
    assert listeners.of("a") == ()


def test_who_was_cancelled_by_a_handler_before_is_left_out() -> None:
    listeners, heard = Listeners(), list[Event]()
    subscriptions = list[Subscription]()
    listeners.add("a", lambda event: subscriptions[0].cancel())
    subscriptions.append(listeners.add("a", heard.append))
    listeners.deliver(event("a"))
    assert heard == []


def test_a_new_subscription_hears_topics_that_were_looked_up_before() -> None:
    listeners, heard = Listeners(), list[Event]()
    assert listeners.of("a") == ()
    listeners.add("*", heard.append)
    listeners.deliver(event("a"))
    assert len(heard) == 1


def test_once_is_the_first_event_that_is_wanted() -> None:
    listeners, heard = Listeners(), list[Event]()
    listeners.add("a", heard.append, {"topic": "a"}, once=True)
    listeners.add("*", heard.append, lambda event: event.sequence > 1, once=True)
    for sequence in (1, 2, 3):
        listeners.deliver(event("a", sequence))
    assert [each.sequence for each in heard] == [1, 2]


def test_once_is_once_from_many_threads() -> None:
    listeners, heard = Listeners(), list[Event]()
    listeners.add("a", heard.append, once=True)
    subscriptions, start = listeners.of("a"), threading.Barrier(8)

    def deliver() -> None:
        start.wait()
        for subscription in subscriptions:
            subscription.deliver(event("a"))

    threads = [threading.Thread(target=deliver) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard) == 1


def test_remove_cancels_what_was_added_with_both() -> None:
    listeners, heard = Listeners(), list[Event]()
    listeners.add("a", heard.append)
    listeners.add("a.*", heard.append)
    assert listeners.remove("a", heard.append)
    assert not listeners.remove("a", heard.append)
    listeners.deliver(event("a"))
    listeners.deliver(event("a.b"))
    assert [each.topic for each in heard] == ["a.b"]


@pytest.mark.parametrize("culprit", ["handler", "where"])
def test_what_a_person_raises_is_logged_and_harms_nobody(culprit: str, caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: Event) -> bool:
        raise ValueError("out of paint")

    listeners, heard = Listeners(), list[Event]()
    listeners.add("a", *((fail, None) if culprit == "handler" else (heard.append, fail)))
    listeners.add("a", heard.append)
    with caplog.at_level(logging.ERROR, "callboard"):
        listeners.deliver(event("a", 7))
    assert len(heard) == 1
    assert "a listener to 'a' raised on event 7 of 'a'" in caplog.text
    assert "ValueError: out of paint" in caplog.text


class Async:
    """An object whose call is async."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[int, asyncio.AbstractEventLoop]] = asyncio.Queue()

    async def __call__(self, event: Event) -> None:
        await self.heard.put((event.sequence, asyncio.get_running_loop()))

    async def method(self, extra: str, event: Event) -> None:
        await self(event)


@pytest.mark.parametrize("kind", ["object", "method"])
def test_async_handlers_run_in_the_loop_that_registered_them(kind: str) -> None:
    async def main() -> None:
        listeners, handler = Listeners(), Async()
        listeners.add("a", handler if kind == "object" else functools.partial(handler.method, "extra"))

        def deliver() -> None:
            for sequence in (1, 2):
                listeners.deliver(event("a", sequence))

        thread = threading.Thread(target=deliver)
        thread.start()
        here = asyncio.get_running_loop()
        assert [await handler.heard.get(), await handler.heard.get()] == [(1, here), (2, here)]
        thread.join()

    asyncio.run(main())


def test_an_async_handler_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        listeners, done = Listeners(), asyncio.Event()

        async def fail(event: Event) -> None:
            done.set()
            raise ValueError("out of paint")

        listeners.add("a", fail)
        listeners.deliver(event("a"))
        await done.wait()
        await asyncio.sleep(0)

    with caplog.at_level(logging.ERROR, "callboard"):
        asyncio.run(main())
    assert "ValueError: out of paint" in caplog.text


def test_an_async_handler_wants_its_loop() -> None:
    async def handler(event: Event) -> None: ...

    with pytest.raises(InvalidSetting, match="the async handler of 'a' must be registered inside the event loop"):
        Listeners().add("a", handler)


def test_an_async_handler_whose_loop_has_ended_is_let_go() -> None:
    async def handler(event: Event) -> None: ...

    async def register() -> None:
        listeners.add("a", handler)

    listeners = Listeners()
    asyncio.run(register())
    listeners.deliver(event("a"))
    assert listeners.of("a") == ()


def test_many_topics_are_not_remembered_for_ever() -> None:
    listeners = Listeners()
    for number in range(MAX_KNOWN_TOPICS + 10):
        listeners.of(f"topic.{number}")
    assert len(listeners._by_topic) <= MAX_KNOWN_TOPICS


def test_a_handler_must_be_callable() -> None:
    with pytest.raises(InvalidSetting, match="the handler of 'a' must be a function of the event, not 'print'"):
        Listeners().add("a", "print")  # type: ignore[arg-type]
