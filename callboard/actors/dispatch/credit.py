"""How much may be sent to a worker beyond what it runs."""

from __future__ import annotations

AHEAD_MICROS = 4000.0
"""How much work is sent ahead to a worker (microseconds of its measured run time), so that it never waits for the post."""
LEAST_MICROS = 8.0  # what a task costs a worker even if it does nothing
MAX_AHEAD = int(AHEAD_MICROS / LEAST_MICROS)


def ahead_allowed(mean: float, timeout: float | None) -> int:
    """How many tasks of a measured run time may wait at a worker beyond what it runs.

    None where a timeout must not include waiting behind others.
    """
    if timeout is not None:
        return 0
    return int(AHEAD_MICROS / mean) if mean > LEAST_MICROS else MAX_AHEAD
