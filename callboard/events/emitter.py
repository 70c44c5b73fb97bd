"""The event emitter of one process."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any

from callboard.events.chain import Chain
from callboard.events.listener import Handler, Listeners, Subscription
from callboard.events.stream import DEFAULT_BUFFER, EventStream
from callboard.events.topic import Pattern, check_topic
from callboard.events.where import Where
from callboard.messages.errors import InvalidSetting
from callboard.messages.event import Event

MAX_CHAIN = 100
"""Plain handlers that emit nest on the stack, whose depth Python bounds too."""

# The chain in which this code runs, and the topic that started it. Async handlers are started in a copy of the context
# in which the event was emitted, so it reaches them as well.
_chain: ContextVar[tuple[Chain, str] | None] = ContextVar("chain", default=None)


class EventEmitter:
    """Hands events to those who listen, in this process. Thread-safe.

    With ``topics`` these alone may be emitted and listened to (declared event types); without, any may. Plain handlers
    run in the thread that emits, in the order of their registration; async ones in the loop that registered them. What
    a handler raises is logged (logger ``callboard``). A chain of handlers that emit is ended by `ChainTooDeep` in the
    one that would make it longer than ``max_chain``, and handlers that multiply are ended likewise (see `Chain`).
    ``clock`` gives seconds since the epoch.
    """

    def __init__(self, topics: Iterable[str] | None = None, *, max_chain: int = MAX_CHAIN, clock: Callable[[], float] = time.time) -> None:
        if isinstance(topics, str):
            raise InvalidSetting(f"topics must be several topics, such as [{topics!r}], not one text")
        self._topics = None if topics is None else frozenset(check_topic(topic) for topic in topics)
        self._max_chain = max_chain
        self._clock = clock
        self._listeners = Listeners()
        self._sequences: dict[str, int] = {}
        self._lock = threading.Lock()

    def on(self, topic: str, handler: Handler, where: Where | None = None) -> Subscription:
        """Call ``handler`` with each event of ``topic`` (or ``"order.*"``, or ``"*"``) that ``where`` wants.

        Raises `InvalidSetting`; an async handler must be registered inside its loop.
        """
        self._check_declared(topic)
        return self._listeners.add(topic, handler, where)

    def once(self, topic: str, handler: Handler, where: Where | None = None) -> Subscription:
        """As `on`, for the first such event only."""
        self._check_declared(topic)
        return self._listeners.add(topic, handler, where, once=True)

    def off(self, topic: str, handler: Handler) -> bool:
        """Cancel what `on` and `once` registered with this topic and handler; whether there was any."""
        return self._listeners.remove(topic, handler)

    def events(self, topic: str, where: Where | None = None, *, buffer: int = DEFAULT_BUFFER) -> EventStream:
        """The events from now on, for ``async for``; see `EventStream` for what a full buffer does."""
        self._check_declared(topic)
        stream = EventStream(buffer)
        # Held weakly, so that a loop that was left by break does not go on collecting.
        held = weakref.WeakMethod(stream.put)

        def put(event: Event) -> None:
            method = held()
            if method is None:
                subscription.cancel()
            else:
                method(event)

        subscription = self._listeners.add(topic, put, where)
        stream.when_closed(subscription.cancel)
        return stream

    def emit(self, topic: str, /, **data: Any) -> Event | None:
        """Tell all who listen, and return the event; None when nobody does, for then none is made (but it is counted).

        Raises `InvalidSetting` for what is no topic or not a declared one, and `ChainTooDeep`.
        """
        if self._topics is not None and topic not in self._topics:
            raise InvalidSetting(self._undeclared(topic))
        heard = bool(self._listeners.of(topic))
        with self._lock:
            sequence = self._sequences[topic] = self._sequences.get(topic, 0) + 1
        if not heard:
            return None
        chain, cause = _chain.get() or (Chain(), "")
        link = _chain.set((chain.follow(topic, self._max_chain, f"emit({topic!r})", cause), topic))
        event = Event(topic, self._clock(), sequence, data=data)
        try:
            self._listeners.deliver(event)
        finally:
            _chain.reset(link)
        return event

    def _check_declared(self, topic: str) -> None:
        pattern = Pattern(topic)
        if self._topics is not None and not any(pattern.matches(declared) for declared in self._topics):
            raise InvalidSetting(self._undeclared(topic))

    def _undeclared(self, topic: str) -> str:
        return f"{topic!r} is not among the topics of this emitter: {', '.join(sorted(self._topics or ())) or 'none'}"
