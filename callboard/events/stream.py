"""Events as an async iterator, with a buffer that is bounded."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Self

from callboard.messages.errors import InvalidSetting
from callboard.messages.event import Event

DEFAULT_BUFFER = 10_000


class EventStream:
    """What ``async for event in ...events(topic)`` runs over.

    Events are kept from the moment the stream is made. When more than ``buffer`` wait to be read the oldest are let go
    and counted in ``missed``; the sequences of the events show the gap. `put` and `close` may be called from any thread;
    several tasks, also of several loops, may read: each event goes to one of them.
    """

    def __init__(self, buffer: int = DEFAULT_BUFFER) -> None:
        if not isinstance(buffer, int) or isinstance(buffer, bool) or buffer < 1:
            raise InvalidSetting(f"buffer must be a whole number of events from 1, not {buffer!r}")
        self.missed = 0
        self._events: deque[Event] = deque(maxlen=buffer)
        self._lock = threading.Lock()
        self._waiting: list[asyncio.Future[None]] = []
        self._closed = False
        self._on_close: Callable[[], None] | None = None

    def when_closed(self, function: Callable[[], None]) -> None:
        """Call ``function`` at the first `close`."""
        self._on_close = function

    def put(self, event: Event) -> None:
        """Add an event; after `close` it is dropped."""
        with self._lock:
            if self._closed:
                return
            self.missed += len(self._events) == self._events.maxlen
            self._events.append(event)
            waiting, self._waiting = self._waiting, []
        _wake(waiting)

    def close(self) -> None:
        """End the stream: readers get what is buffered, then the end. May be called again."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            waiting, self._waiting = self._waiting, []
        _wake(waiting)
        if self._on_close is not None:
            self._on_close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while True:
            with self._lock:
                if self._events:
                    return self._events.popleft()
                if self._closed:
                    raise StopAsyncIteration
                news = asyncio.get_running_loop().create_future()
                self._waiting.append(news)
            try:
                await news
            finally:
                self._leave(news)

    def _leave(self, news: asyncio.Future[None]) -> None:
        with self._lock:
            if news in self._waiting:  # the reader was cancelled before anything came
                self._waiting.remove(news)


def _wake(waiting: list[asyncio.Future[None]]) -> None:
    for news in waiting:
        try:
            news.get_loop().call_soon_threadsafe(_tell, news)
        except RuntimeError:  # that reader's loop is closed
            continue


def _tell(news: asyncio.Future[None]) -> None:
    if not news.done():
        news.set_result(None)
