"""The command line: ``callboard``, or ``python -m callboard``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from callboard.messages.errors import CallboardError, InvalidSetting, InvalidTask, InvalidWorker, MissingExtra

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit: 0 done, 1 it failed, 2 it was asked for something that cannot be, 130 Ctrl-C."""
    _show_log()
    try:
        _app()()
    except CallboardError as error:
        # A mistake of the person's or a manager that is not there: a line says it, a traceback would bury it.
        print(f"callboard: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InvalidSetting | InvalidTask | InvalidWorker) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _app() -> Callable[[], None]:
    try:
        from callboard.playground.command.app import app
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("rich", "typer"):
            raise
        raise MissingExtra(package, "cli") from None
    return app


def _show_log() -> None:
    """What the library has to say goes to standard error, a line each."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("callboard: %(message)s"))
    logging.getLogger("callboard").addHandler(handler)
