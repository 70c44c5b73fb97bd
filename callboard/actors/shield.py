"""Keeps a signal's handler from breaking into what must be finished once it is begun.

Python runs the handlers of signals in the main thread, between any two steps of whatever runs there, and they may raise.
"""

from __future__ import annotations

# What `signal` wraps: its wrappers make enumerations of the numbers, which takes ten times as long.
import _signal  # type: ignore[import-not-found]
import os
import signal
from collections.abc import Callable
from types import FrameType

_SIGNALS = range(1, signal.NSIG)
_INTERRUPT = int(signal.SIGINT)
_HARMLESS = (None, int(signal.SIG_DFL), int(signal.SIG_IGN))


class Shield:
    """For a moment, puts off the KeyboardInterrupt of Ctrl-C. Of the main thread."""

    def __init__(self) -> None:
        self.struck = False
        """Ctrl-C was pressed while the shield was up."""
        self._raised = False
        self._wake: Callable[[], None] = _nothing
        self._process = os.getpid()
        self._known: list[object] = []  # handlers, as they were when last found harmless

    def serves(self) -> bool:
        """Whether nothing but Ctrl-C could break in: not where a person has set another handler."""
        handlers = list(map(_signal.getsignal, _SIGNALS))
        if handlers != self._known:
            if any(handler not in _HARMLESS for number, handler in enumerate(handlers, 1) if number != _INTERRUPT):
                return False
            if handlers[_INTERRUPT - 1] not in (*_HARMLESS, signal.default_int_handler):
                return False
            self._known = handlers
        return True

    def up(self, wake: Callable[[], None]) -> bool:
        """Raise it, if it serves. ``wake`` is called when Ctrl-C was pressed."""
        if not self.serves():
            return False
        if self._known[_INTERRUPT - 1] is signal.default_int_handler:
            self._wake = wake
            self._raised = True
            _signal.signal(_INTERRUPT, self._strike)
        return True

    def down(self) -> None:
        """Lower it; raises the KeyboardInterrupt that was put off."""
        if self._raised:
            self._raised = False
            _signal.signal(_INTERRUPT, signal.default_int_handler)
            if self.struck:
                self.struck = False
                raise KeyboardInterrupt

    def _strike(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            signal.default_int_handler(number, frame)  # of a process that another thread forked off meanwhile
        self.struck = True
        self._wake()


def _nothing() -> None:
    pass
