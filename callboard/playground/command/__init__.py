"""The command line: ``callboard``, or ``python -m callboard``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit: 0 done, 1 it failed, 2 it was asked for something that cannot be, 130 Ctrl-C."""
    try:
        # Only now, so that Ctrl-C is heard while all the rest is imported.
        from callboard.playground.command.shell import run

        sys.exit(run())
    except KeyboardInterrupt:
        sys.exit(130)
