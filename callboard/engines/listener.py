"""Ready-made listeners: to log, to print, to time, to capture, and to keep an eye on something."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

from callboard.engines.executor import Executor
from callboard.engines.notifier import ANY

_TROUBLE = frozenset({"failed", "revert_failed", "reverted", "cancelled"})


class Listener:
    """Base: hears all of an executor's flows and atoms while its ``with`` block is open."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    def flow(self, state: str, details: Mapping[str, Any]) -> None:
        """A flow came to a state."""

    def atom(self, state: str, details: Mapping[str, Any]) -> None:
        """An atom came to a state, or said something."""

    def __enter__(self) -> Self:
        self.executor.notifier.register(ANY, self.flow)
        self.executor.atom_notifier.register(ANY, self.atom)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.executor.notifier.deregister(ANY, self.flow)
        self.executor.atom_notifier.deregister(ANY, self.atom)


class LoggingListener(Listener):
    """Logs every state, at ``level``; what failed or was undone as a warning. Values are not logged: they may be secrets."""

    def __init__(self, executor: Executor, logger: logging.Logger | None = None, level: int = logging.DEBUG) -> None:
        super().__init__(executor)
        self.logger = logger or logging.getLogger("callboard")
        self.level = level

    def flow(self, state: str, details: Mapping[str, Any]) -> None:
        """Log a flow."""
        self._log(state, f"flow {details['flow_name']!r} ({details['run_id']}) is {state}")

    def atom(self, state: str, details: Mapping[str, Any]) -> None:
        """Log an atom; of a failure its words."""
        why = f": {details['result']}" if state in ("failed", "revert_failed", "retrying") and details.get("result") else ""
        self._log(state, f"atom {details['task_name']!r} of flow {details['flow_name']!r} is {state}{why}")

    def _log(self, state: str, text: str) -> None:
        self.logger.log(logging.WARNING if state in _TROUBLE else self.level, text)


class PrintingListener(Listener):
    """Prints a line for every state, to standard output or another stream."""

    def __init__(self, executor: Executor, stream: IO[str] | None = None) -> None:
        super().__init__(executor)
        self.stream = stream

    def flow(self, state: str, details: Mapping[str, Any]) -> None:
        """Print a flow."""
        self._print(f"flow {details['flow_name']!r}: {state}")

    def atom(self, state: str, details: Mapping[str, Any]) -> None:
        """Print an atom."""
        self._print(f"atom {details['task_name']!r}: {state}")

    def _print(self, line: str) -> None:
        (self.stream or sys.stdout).write(line + "\n")


class TimingListener(Listener):
    """Takes the time from RUNNING to whatever ends it. ``durations`` are seconds by run and name; a retried atom's last."""

    def __init__(self, executor: Executor, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(executor)
        self.durations: dict[tuple[str, str], float] = {}
        self._clock = clock
        self._began: dict[tuple[str, str], float] = {}

    def flow(self, state: str, details: Mapping[str, Any]) -> None:
        """Time a flow."""
        self._time(state, (details["run_id"], details["flow_name"]))

    def atom(self, state: str, details: Mapping[str, Any]) -> None:
        """Time an atom."""
        self._time(state, (details["run_id"], details["task_name"]))

    def _time(self, state: str, key: tuple[str, str]) -> None:
        if state == "running":
            self._began[key] = self._clock()
        elif state in ("completed", "failed", "retrying", "reverted", "suspended", "cancelled") and key in self._began:
            self.durations[key] = self._clock() - self._began.pop(key)


class Captured(NamedTuple):
    """One thing that was heard: ``kind`` is flow or atom."""

    kind: str
    name: str
    state: str
    details: Mapping[str, Any]


class CaptureListener(Listener):
    """Keeps all that it hears, in order; for tests."""

    def __init__(self, executor: Executor) -> None:
        super().__init__(executor)
        self.heard: list[Captured] = []

    def flow(self, state: str, details: Mapping[str, Any]) -> None:
        """Keep a flow's state."""
        self.heard.append(Captured("flow", details["flow_name"], state, details))

    def atom(self, state: str, details: Mapping[str, Any]) -> None:
        """Keep an atom's state, or what it said."""
        self.heard.append(Captured("atom", details["task_name"], state, details))


class CheckingListener(Listener):
    """Asks ``check(details)`` at every state, and suspends the run at its first no: whether a claim is still held, say."""

    def __init__(self, executor: Executor, check: Callable[[Mapping[str, Any]], bool]) -> None:
        super().__init__(executor)
        self.check = check

    def flow(self, state: str, details: Mapping[str, Any]) -> None:
        """Check at a flow's state."""
        self._look(details)

    def atom(self, state: str, details: Mapping[str, Any]) -> None:
        """Check at an atom's state."""
        self._look(details)

    def _look(self, details: Mapping[str, Any]) -> None:
        if not self.check(details):
            self.executor.suspend(details["run_id"])
