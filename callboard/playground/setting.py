"""Settings of a playground: by argument, else by environment (``CALLBOARD_MAX_BACKLOG=...``), else the default.

Checked by hand: to import pydantic takes longer than all else that has to happen before the workers are started.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from callboard.actors.backlog import DEFAULT_BACKLOG
from callboard.messages.errors import InvalidSetting
from callboard.messages.limit import LARGEST_PAYLOAD, MAX_PAYLOAD

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = "CALLBOARD_"


class Settings(NamedTuple):
    """What can be set of a playground. Sizes are bytes.

    ``max_backlog``: how many tasks of one client may be open; over it ``when_full`` says whether submitting waits or
    raises. ``max_payload``: the largest value that may travel. ``max_worker_deaths``: after how many deaths under it a
    task is given up. ``max_chain``: how often in a row listeners may start each other's tasks; a hundred times as often in
    all, where chains branch. ``key_file``: where a manager keeps its keys, for who is to be reached from other machines.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    key_file: Path | None = None
    max_backlog: int = DEFAULT_BACKLOG
    when_full: Literal["wait", "raise"] = "wait"
    max_payload: int = MAX_PAYLOAD
    max_worker_deaths: int = 3
    max_chain: int = 1000

    @classmethod
    def of(cls, given: dict[str, Any]) -> Settings:
        """Settings from arguments, of which None means: not given. Raises `InvalidSetting`, which tells all that is wrong."""
        found: dict[str, Any] = {name: os.environ[PREFIX + name.upper()] for name in cls._fields if PREFIX + name.upper() in os.environ}
        found |= {name: value for name, value in given.items() if value is not None}
        faults = []
        for name, value in found.items():
            try:
                found[name] = _CHECKS[name](value)
            except ValueError as error:
                faults.append(f"{name}: {error} (it is {value!r})")
            except KeyError:
                faults.append(f"{name}: there is no such setting (it is {value!r})")
        if faults:
            raise InvalidSetting(f"a playground cannot be set up like this: {'; '.join(faults)}")
        return cls(**found)


def _whole(least: int, most: int | None = None) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        number = int(value) if isinstance(value, str) and value.strip().isdecimal() else value
        if not isinstance(number, int) or isinstance(number, bool):
            raise ValueError("it must be a whole number")
        if number < least or (most is not None and number > most):
            raise ValueError(f"it must be {least} or more" if most is None else f"it must be {least} to {most}")
        return number

    return check


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it must be a text")
    return value


def _path(value: Any) -> Path:
    from pathlib import Path

    if not isinstance(value, str | Path):
        raise ValueError("it must be a path")
    return Path(value)


def _when_full(value: Any) -> str:
    if value not in ("wait", "raise"):
        raise ValueError("it must be 'wait' or 'raise'")
    return str(value)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "host": _text,
    "port": _whole(1, 65535),
    "key_file": _path,
    "max_backlog": _whole(1),
    "when_full": _when_full,
    "max_payload": _whole(1024, LARGEST_PAYLOAD),
    "max_worker_deaths": _whole(1),
    "max_chain": _whole(1),
}
