"""How much carried code a manager keeps for the workers that will need it.

Each function or class that was ever submitted is a blob; scripts that make a function for each task would fill the
memory. What an open task or a rule needs is kept whatever it weighs, of the rest what came last. Who submits again what
was let go is asked to say it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from callboard.actors.dispatch.dispatcher import Dispatcher
from callboard.messages.task import Submission

MAX_CODE = 64 * 1024 * 1024
"""Bytes of code above which what nobody needs is let go, down to half of it."""


class Shelf:
    """Bounds the code of a manager. Its cost is spread: what is needed anyway is not looked through again until it has
    doubled."""

    def __init__(self, limit: int = MAX_CODE) -> None:
        self._limit = limit
        self._bound = limit
        self._count = 0

    def tidy(self, codes: dict[str, bytes], needed: Callable[[], set[str]]) -> list[str]:
        """Let go of the oldest code that is not ``needed``, if there is too much; returns the digests of what has gone."""
        if len(codes) == self._count:
            return []
        gone = []
        size = sum(map(len, codes.values()))
        if size > self._bound:
            live = needed()
            for digest in [digest for digest in codes if digest not in live]:
                if size <= self._limit // 2:
                    break
                size -= len(codes.pop(digest))
                gone.append(digest)
            self._bound = max(self._limit, 2 * size)
        self._count = len(codes)
        return gone


def code_in_use(dispatcher: Dispatcher) -> set[str]:
    """The digests of all code that an open task, or one that a rule will start, needs."""
    entries = [entry for entry in dispatcher.ledger.entries.values() if not entry.final]
    own = (entry.category.spec.code for entry in entries)
    more = (entry.submission for entry in entries if entry.submission is not None)
    held = (held.submission for held in dispatcher.endings.held)
    others = _digests(chain(more, held, dispatcher.endings.rules.templates()))
    return {digest for digest in chain(own, others) if digest is not None}


def _digests(submissions: Iterable[Submission]) -> Iterator[str | None]:
    for submission in submissions:
        yield submission.spec.code
        if isinstance(submission.fallback, Submission):
            yield from _digests([submission.fallback])
