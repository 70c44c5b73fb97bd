"""What comes back from the user's code, and what it means."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from callboard.messages.outcome import Outcome
from callboard.messages.result import TaskResult


def interpret(value: Any) -> Outcome:
    """What a returned value means: a TaskResult says itself how it went, anything else is the output of a success."""
    if type(value) is TaskResult:
        return Outcome(value.success, value.output, value.error)
    return Outcome(True, value)


async def interpret_later(value: Awaitable[Any]) -> Outcome:
    """The same for a value that is still to come."""
    return interpret(await value)


def finish(outcome: Awaitable[Outcome]) -> Outcome:
    """Wait for an outcome from plain code, in a loop of its own."""
    # Late, since a worker that runs nothing async need not wait for these to be imported.
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    async def wait() -> Outcome:
        return await outcome

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    with ThreadPoolExecutor(1) as thread:  # this thread's loop is running, so another one has to
        return thread.submit(asyncio.run, wait()).result()
