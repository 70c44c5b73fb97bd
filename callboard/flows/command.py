"""What the machine wants done: commands as values. Nodes are numbers of the plan."""

from __future__ import annotations

from typing import NamedTuple


class Execute(NamedTuple):
    """Run an atom; answer by ``completed``, ``failed`` or ``again``."""

    node: int
    attempt: int


class Revert(NamedTuple):
    """Undo an atom; answer by ``reverted`` or ``revert_failed``."""

    node: int


class Decide(NamedTuple):
    """Ask the deciders and the condition of a node; answer by ``decided`` or ``failed``, before anything else."""

    node: int


class Consult(NamedTuple):
    """Ask a controller about a failed node; answer by ``advised``, before anything else."""

    controller: int
    failed: int


class Await(NamedTuple):
    """An atom waits for its signal; answer by ``signalled`` or ``failed``."""

    node: int


class Sleep(NamedTuple):
    """A controller tries again after ``delay`` seconds; answer by ``due``."""

    node: int
    delay: float


Command = Execute | Revert | Decide | Consult | Await | Sleep
