"""Who wants to know what happens in a run, and is told in the thread that drives it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from callboard.messages.errors import InvalidSetting

logger = logging.getLogger("callboard")

ANY = "*"
"""Registers for everything."""

Callback = Callable[[str, Mapping[str, Any]], Any]
"""Takes the state (or the name of an event) and its details."""
Filter = Callable[[Mapping[str, Any]], bool]


class _Registered(NamedTuple):
    callback: Callback
    wanted: Filter | None


class Notifier:
    """Calls those who registered for a state, or for `ANY`, in the order of their registration.

    What a callback raises is logged and goes no further. Each gets its own copy of the details.
    """

    def __init__(self) -> None:
        self._registered: dict[str, tuple[_Registered, ...]] = {}

    def register(self, state: str, callback: Callback, details_filter: Filter | None = None) -> None:
        """Call ``callback(state, details)`` at each ``state`` whose details ``details_filter`` wants."""
        if not isinstance(state, str) or not callable(callback):
            raise InvalidSetting(f"register takes a state and a function, not {state!r} and {callback!r}")
        if any(known.callback == callback for known in self._registered.get(state, ())):
            raise InvalidSetting(f"{callback!r} is registered for {str(state)!r} already")
        # A new tuple, so that a round of calls that is under way keeps its own.
        self._registered[str(state)] = (*self._registered.get(state, ()), _Registered(callback, details_filter))

    def deregister(self, state: str, callback: Callback) -> bool:
        """Call it no more; whether it was registered."""
        known = self._registered.get(state, ())
        left = tuple(one for one in known if one.callback != callback)
        if left:
            self._registered[state] = left
        else:
            self._registered.pop(state, None)
        return len(left) < len(known)

    def __bool__(self) -> bool:
        return bool(self._registered)

    def notify(self, state: str, details: Mapping[str, Any]) -> None:
        """Tell all who want to know."""
        for registered in self._registered.get(state, ()) + self._registered.get(ANY, ()):
            try:
                if registered.wanted is None or registered.wanted(details):
                    registered.callback(state, dict(details))
            except Exception:  # a listener is the user's code and must not change the run
                logger.exception("a listener of %s failed", state)
