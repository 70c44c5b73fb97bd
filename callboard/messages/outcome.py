"""What one execution of a piece of code came to, before anybody decides what follows from it."""

from __future__ import annotations

from typing import Any, NamedTuple


class Outcome(NamedTuple):
    """A returned ending: ``success`` with an ``output``, or an honest no with its ``error``. Raised errors are no Outcome."""

    success: bool
    output: Any = None
    error: str | None = None
