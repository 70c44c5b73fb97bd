"""Who listens to which topics, and how an event is handed to them."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from callboard.events.run import Runs
from callboard.events.topic import Pattern, check_topic
from callboard.events.where import Where, check_where, matches
from callboard.messages.errors import InvalidSetting
from callboard.messages.event import Event

logger = logging.getLogger("callboard")

Handler = Callable[[Event], Any] | Callable[[Event], Awaitable[Any]]
MAX_KNOWN_TOPICS = 4096


class Subscription:
    """A handler and what it listens to, until `cancel`. Thread-safe.

    A plain handler runs in the thread that delivers; an async one is started in the loop in which it was registered.
    What a handler raises is logged and harms nothing. Raises `InvalidSetting`.
    """

    def __init__(
        self,
        pattern: Pattern,
        handler: Handler,
        where: Where | None,
        once: bool,
        forget: Callable[[Subscription], None],
        runs: Runs,
    ) -> None:
        check_where(where)
        if not callable(handler):
            raise InvalidSetting(f"the handler of {pattern.text!r} must be a function of the event, not {handler!r}")
        self.pattern = pattern
        self.handler = handler
        self._where = where
        self._once = once
        self._forget = forget
        self._loop = _running_loop(pattern) if _is_async(handler) else None
        self._runs = runs
        self._lock = threading.Lock()
        self._cancelled = False

    @property
    def active(self) -> bool:
        """Whether events are still delivered."""
        return not self._cancelled

    def cancel(self) -> None:
        """Deliver nothing more; what runs already goes on. May be called again, and from the handler itself."""
        self._end()

    def deliver(self, event: Event) -> None:
        """Hand the event over if it is wanted. Never raises what a person's code raises."""
        try:
            if self._cancelled or not matches(event, self._where) or (self._once and not self._end()):
                return
            if self._loop is None:
                self.handler(event)
            else:
                self._start(self._loop, event)
        except Exception:  # a person's where or handler
            self._complain(event)

    def _end(self) -> bool:
        """Cancel; whether this call was the one that did it."""
        with self._lock:
            if self._cancelled:
                return False
            self._cancelled = True
        self._forget(self)
        return True

    def _start(self, loop: asyncio.AbstractEventLoop, event: Event) -> None:
        try:
            self._runs.start(loop, lambda: self._run(event))
        except RuntimeError:  # the loop is closed, so nobody is left to hear of it
            self.cancel()

    async def _run(self, event: Event) -> None:
        try:
            await self.handler(event)
        except Exception:
            self._complain(event)

    def _complain(self, event: Event) -> None:
        logger.exception("a listener to %r raised on event %d of %r", self.pattern.text, event.sequence, event.topic)


class Listeners:
    """All subscriptions of one place. Thread-safe; subscriptions hear of an event in the order in which they were made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: tuple[Subscription, ...] = ()
        self._by_topic: dict[str, tuple[Subscription, ...]] = {}
        self.runs = Runs()

    def add(self, topic: str, handler: Handler, where: Where | None = None, *, once: bool = False) -> Subscription:
        """Subscribe; with ``once`` to the first event that is wanted. Raises `InvalidSetting`."""
        subscription = self.prepare(topic, handler, where, once=once)
        self.enter(subscription)
        return subscription

    def prepare(self, topic: str, handler: Handler, where: Where | None = None, *, once: bool = False) -> Subscription:
        """A subscription that hears nothing until it is entered. Raises `InvalidSetting`."""
        return Subscription(Pattern(topic), handler, where, once, self._forget, self.runs)

    def enter(self, subscription: Subscription) -> None:
        """Have a prepared subscription hear events from now on, unless it was cancelled meanwhile."""
        with self._lock:
            if subscription.active:
                self._all = (*self._all, subscription)
                self._by_topic = {}

    def remove(self, topic: str, handler: Handler) -> bool:
        """Cancel what was added with this topic pattern and handler; whether there was any."""
        found = [each for each in self._all if each.pattern.text == topic and each.handler == handler]
        for subscription in found:
            subscription.cancel()
        return bool(found)

    def of(self, topic: str) -> tuple[Subscription, ...]:
        """The subscriptions that an event of ``topic`` goes to. Raises `InvalidSetting` for what is no topic."""
        known = self._by_topic.get(topic)
        return known if known is not None else self._look_up(check_topic(topic))

    def deliver(self, event: Event) -> None:
        """Hand the event to all whom it concerns."""
        for subscription in self.of(event.topic):
            subscription.deliver(event)

    def _look_up(self, topic: str) -> tuple[Subscription, ...]:
        with self._lock:
            found = tuple(each for each in self._all if each.pattern.matches(topic))
            if len(self._by_topic) >= MAX_KNOWN_TOPICS:
                self._by_topic = {}
            self._by_topic[topic] = found
        return found

    def _forget(self, subscription: Subscription) -> None:
        with self._lock:
            self._all = tuple(each for each in self._all if each is not subscription)
            self._by_topic = {}


def _is_async(handler: Handler) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)


def _running_loop(pattern: Pattern) -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise InvalidSetting(
            f"the async handler of {pattern.text!r} must be registered inside the event loop that is to run it; "
            "register it in an async function, or give a plain function"
        ) from None
