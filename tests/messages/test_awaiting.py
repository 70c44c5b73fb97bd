"""What is to be awaited: all that can be, and nothing else."""

from __future__ import annotations

import asyncio
import inspect
import types
from collections.abc import Generator
from typing import Any

import pytest

from callboard.messages.awaiting import is_awaitable


class Later:
    """Can be awaited."""

    def __await__(self) -> Generator[Any, None, int]:
        yield
        return 1


class Late:
    """Cannot: what is awaited is looked for in the class."""

    def __init__(self) -> None:
        self.__await__ = Later().__await__


async def coroutine() -> None:
    """A coroutine function."""


@types.coroutine
def old() -> Generator[None, None, None]:
    """A coroutine of generators."""
    yield


def generator() -> Generator[int, None, None]:
    """None."""
    yield 1


@pytest.mark.parametrize(
    "value", [None, 1, "text", [1], {}, object(), Late(), coroutine, Later, generator(), iter([1])], ids=lambda value: type(value).__name__
)
def test_what_cannot_be_awaited(value: Any) -> None:
    assert not is_awaitable(value) and not inspect.isawaitable(value)


def test_what_can_be_awaited() -> None:
    begun = coroutine()
    loop = asyncio.new_event_loop()
    try:
        for value in (begun, Later(), old(), loop.create_future()):
            assert is_awaitable(value) and inspect.isawaitable(value)
    finally:
        begun.close()
        loop.close()
