"""The block of a playground, as ``with`` and as ``async with``: what happens at its two ends, Ctrl-C included."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from callboard.actors.worker import ProcessWorker

if TYPE_CHECKING:
    import asyncio

    from callboard.playground.playground import Playground


class Block:
    """The context manager that ``play`` gives."""

    def __init__(self, playground: Playground, workers: Sequence[ProcessWorker]) -> None:
        self._playground = playground
        self._workers = workers

    def __enter__(self) -> Playground:
        self._playground.begin(self._workers)
        return self._playground

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        playground = self._playground
        try:
            if kind is None:
                playground.finish()
            else:
                playground.abort()
        except BaseException:
            _abort_again(playground, kind)
            raise

    async def __aenter__(self) -> Playground:
        import asyncio

        beginning = asyncio.ensure_future(_in_thread(lambda: self._playground.begin(self._workers)))
        try:
            await asyncio.shield(beginning)
        except asyncio.CancelledError:
            # What is half begun cannot be ended in order: it takes a fraction of a second to be wholly so.
            await asyncio.wait([beginning])
            self._playground.kill()
            raise
        return self._playground

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        import asyncio

        playground = self._playground
        try:
            if kind is None:
                try:
                    await _in_thread(playground.finish)
                except asyncio.CancelledError:
                    await _in_thread(playground.abort)
                    raise
            else:
                await _in_thread(playground.abort)
        finally:
            playground.kill()


def _abort_again(playground: Playground, kind: type[BaseException] | None) -> None:
    # The first Ctrl-C while the end was awaited stops what runs; a second one ends it at once.
    try:
        if kind is None:
            playground.abort()
    finally:
        playground.kill()


async def _in_thread(call: Callable[[], None]) -> None:
    """Run a blocking call in a thread of its own, so that the loop goes on, and needs no more of it than a wake-up."""
    import asyncio

    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def run() -> None:
        try:
            call()
        except BaseException as error:
            _tell(loop, done, error)
        else:
            _tell(loop, done, None)

    threading.Thread(target=run, name="callboard-block", daemon=True).start()
    await done


def _tell(loop: asyncio.AbstractEventLoop, done: asyncio.Future[None], error: BaseException | None) -> None:
    def settle() -> None:
        if not done.done():
            done.set_result(None) if error is None else done.set_exception(error)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        pass  # the loop was ended by a second Ctrl-C
