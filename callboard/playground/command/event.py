"""``callboard events``."""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
from datetime import datetime
from typing import Annotated

import typer

from callboard.messages.event import Event
from callboard.playground.command.option import AddressArgument, JsonOption, KeyOption, print_json
from callboard.playground.connection import connect


def events(
    address: AddressArgument,
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="Topics to hear, such as 'task.*'.")] = "*",
    as_json: JsonOption = False,
    key: KeyOption = None,
) -> None:
    """Print events as they happen.

    A line each, until Ctrl-C or the manager's end.
    """
    with connect(address, key=key) as connection:
        printer = Printer(as_json)
        connection.on(pattern, printer.show)
        connection.when_over(printer.done.set)
        print(f"listening to {pattern} on {connection.address}; Ctrl-C ends it", file=sys.stderr, flush=True)
        try:
            printer.done.wait()
            if not printer.broken:
                connection.hear_out()
                print("the manager has ended", file=sys.stderr)
        except KeyboardInterrupt:
            return


class Printer:
    """Prints events in the bus's thread; ``done`` is set when nobody reads them any more."""

    def __init__(self, as_json: bool) -> None:
        self.done = threading.Event()
        self.broken = False
        self._as_json = as_json

    def show(self, event: Event) -> None:
        """Print one."""
        try:
            if self._as_json:
                print_json(dataclasses.asdict(event) | {"data": dict(event.data)})
            else:
                print(line(event), flush=True)
        except BrokenPipeError:
            # The reader of a pipe has gone. The interpreter would complain of it again at its exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self.broken = True
            self.done.set()


def line(event: Event) -> str:
    """One event for a person to read."""
    when = datetime.fromtimestamp(event.time).strftime("%H:%M:%S.%f")[:-3]
    words = [when, f"{event.topic:<15}"]
    if event.name is not None:
        words.append(event.name)
    if event.worker is not None:
        words.append(f"on {event.worker}" if event.name is not None else event.worker)
    words += [f"{key}={value!r}" for key, value in event.data.items()]
    return "  ".join(words)
