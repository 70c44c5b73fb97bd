"""Events as an async iterator."""

from __future__ import annotations

import asyncio
import threading

import pytest

from callboard.events import EventStream
from callboard.messages.errors import InvalidSetting
from callboard.messages.event import Event


def event(sequence: int) -> Event:
    return Event("a", 0.0, sequence)


async def drain(stream: EventStream) -> list[int]:
    return [each.sequence async for each in stream]


def test_what_was_put_before_the_reader_came_is_kept() -> None:
    stream = EventStream()
    for sequence in (1, 2, 3):
        stream.put(event(sequence))
    stream.close()
    assert asyncio.run(drain(stream)) == [1, 2, 3]
    assert stream.missed == 0


def test_a_full_buffer_lets_the_oldest_go_and_counts_them() -> None:
    stream = EventStream(buffer=2)
    for sequence in (1, 2, 3, 4, 5):
        stream.put(event(sequence))
    stream.close()
    assert asyncio.run(drain(stream)) == [4, 5]
    assert stream.missed == 3


def test_a_waiting_reader_is_woken_from_another_thread() -> None:
    async def main() -> list[int]:
        stream = EventStream()

        def work() -> None:
            for sequence in range(1, 2001):
                stream.put(event(sequence))
            stream.close()

        reader = asyncio.create_task(drain(stream))
        await asyncio.sleep(0)  # the reader waits
        thread = threading.Thread(target=work)
        thread.start()
        found = await reader
        thread.join()
        return found

    assert asyncio.run(main()) == list(range(1, 2001))


def test_each_event_goes_to_one_of_several_readers() -> None:
    async def main() -> list[int]:
        stream = EventStream()
        readers = [asyncio.create_task(drain(stream)) for _ in range(3)]
        for sequence in range(1, 10):
            stream.put(event(sequence))
            await asyncio.sleep(0)
        stream.close()
        return sorted(sequence for found in await asyncio.gather(*readers) for sequence in found)

    assert asyncio.run(main()) == list(range(1, 10))


def test_a_cancelled_reader_takes_no_event_along() -> None:
    async def main() -> list[int]:
        stream = EventStream()
        first = asyncio.create_task(drain(stream))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        stream.put(event(1))
        stream.close()
        return await drain(stream)

    assert asyncio.run(main()) == [1]


def test_closing_ends_readers_and_is_told_once() -> None:
    closed = list[int]()

    async def main() -> None:
        stream = EventStream()
        stream.when_closed(lambda: closed.append(1))
        reader = asyncio.create_task(drain(stream))
        await asyncio.sleep(0)
        stream.close()
        stream.close()
        stream.put(event(1))
        assert await reader == []

    asyncio.run(main())
    assert closed == [1]


@pytest.mark.parametrize("buffer", [0, -1, 1.5, True])
def test_a_buffer_that_cannot_work_is_refused(buffer: int) -> None:
    with pytest.raises(InvalidSetting, match="buffer must be a whole number of events from 1"):
        EventStream(buffer)
