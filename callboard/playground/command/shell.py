"""Around the commands: the log, and errors as a line each."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from callboard.messages.errors import CallboardError, InvalidSetting, InvalidTask, InvalidWorker, MissingExtra


def run() -> int:
    """Run the command that the arguments name; the exit code of an error, if the command does not exit with its own."""
    _show_log()
    try:
        _app()()
    except CallboardError as error:
        # A mistake of the person's or a manager that is not there: a line says it, a traceback would bury it.
        print(f"callboard: {error}", file=sys.stderr)
        return 2 if isinstance(error, InvalidSetting | InvalidTask | InvalidWorker) else 1
    return 0


def _app() -> Callable[[], None]:
    try:
        from callboard.playground.command.app import application

        return application(sys.argv[1] if len(sys.argv) > 1 else None)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("rich", "typer"):
            raise
        raise MissingExtra(package, "cli") from None


def _show_log() -> None:
    """What the library has to say goes to standard error, a line each."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("callboard: %(message)s"))
    logging.getLogger("callboard").addHandler(handler)
