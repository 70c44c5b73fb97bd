"""The commands, put together."""

from __future__ import annotations

import typer

from callboard.playground.command.event import events
from callboard.playground.command.flow import flow
from callboard.playground.command.manager import keys, manager
from callboard.playground.command.task import explain, submit
from callboard.playground.command.view import dump, status
from callboard.playground.command.worker import worker

# Plain help texts and no framed tracebacks: what is printed may be read by programs, and an error is one line.
app = typer.Typer(name="callboard", no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def callboard() -> None:
    """Post tasks to skill-tagged workers in other processes, here and on other machines."""


for command in (manager, worker, status, events, submit, explain, dump, keys):
    app.command()(command)
app.add_typer(flow)
