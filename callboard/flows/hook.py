"""What a task does around its work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from callboard.messages.awaiting import is_awaitable

_NAMES = ("pre_execute", "post_execute", "pre_revert", "post_revert")


class Hooks:
    """Steps around ``execute`` and ``revert``, to be overridden by plain methods without arguments.

    They run where the work runs, around each attempt. What a ``pre_`` step raises keeps the work from being begun; a
    ``post_`` step runs however that ended. What either raises fails the attempt, or the revert.
    """

    hooked: ClassVar[bool] = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls.hooked = any(getattr(cls, name) is not getattr(Hooks, name) for name in _NAMES)

    def pre_execute(self) -> None:
        """Before each attempt."""

    def post_execute(self) -> None:
        """After each attempt."""

    def pre_revert(self) -> None:
        """Before ``revert``."""

    def post_revert(self) -> None:
        """After ``revert``."""


def between(before: Callable[[], None], work: Callable[[], Any], after: Callable[[], None]) -> Any:
    """What ``work`` gives, with a step on either side; where that is awaitable, the last step comes when it was awaited."""
    try:
        before()
        value = work()
    except BaseException:
        after()
        raise
    if is_awaitable(value):
        return _later(value, after)
    after()
    return value


async def _later(value: Awaitable[Any], after: Callable[[], None]) -> Any:
    try:
        return await value
    finally:
        after()
