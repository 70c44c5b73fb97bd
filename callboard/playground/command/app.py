"""The commands, put together."""

from __future__ import annotations

from importlib import import_module

import typer

_HOMES = {
    "manager": "manager",
    "worker": "worker",
    "status": "view",
    "events": "event",
    "submit": "task",
    "explain": "task",
    "dump": "view",
    "keys": "manager",
    "flow": "flow",
}
"""The module of each command, in the order in which help shows them."""


def application(wanted: str | None = None) -> typer.Typer:
    """The command line; where one command is ``wanted``, with that one alone, so that nothing else is imported."""
    # Plain help texts and no framed tracebacks: what is printed may be read by programs, and an error is one line.
    app = typer.Typer(name="callboard", no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback()(callboard)
    for name in [wanted] if wanted in _HOMES else _HOMES:
        found = getattr(import_module(f"callboard.playground.command.{_HOMES[name]}"), name)
        if isinstance(found, typer.Typer):
            app.add_typer(found)
        else:
            app.command()(found)
    return app


def callboard() -> None:
    """Post tasks to skill-tagged workers in other processes, here and on other machines."""
