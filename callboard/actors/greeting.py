"""Whether a peer and its manager are of one mind: each hello begins the conversation anew, its welcome opens it.

In between the manager may still say something to who the peer was before the hello: of work, that is to be ignored, since
the manager will learn from the hello that it did not come. What the peer has to say waits for the welcome.
"""

from __future__ import annotations

import math

PATIENCE = 2.0
MOST_PATIENCE = 30.0


class Greeting:
    """Counts a peer's hellos, and says them again when nobody answers: after 2 s, then after twice as long each time."""

    __slots__ = ("_patience", "answered", "due", "number")

    def __init__(self) -> None:
        self.number = 0  # of the newest hello
        self.answered = False
        self.due = math.inf  # when to say it again
        self._patience = PATIENCE

    @property
    def under_way(self) -> bool:
        """Whether a hello was said whose welcome is still to come."""
        return self.due < math.inf

    def said(self, now: float) -> None:
        """A hello is said; it has number `number`."""
        self.number += 1
        self.answered = False
        self.due = now + self._patience
        self._patience = min(2 * self._patience, MOST_PATIENCE)

    def welcomed(self, answers: int) -> bool:
        """A welcome has come; whether it is the answer to the newest hello."""
        if answers != self.number or not self.under_way:
            return False
        self.answered = True
        self.due, self._patience = math.inf, PATIENCE
        return True

    def cut(self) -> None:
        """The connection is gone, and with it what was under way."""
        self.answered = False
        self.due, self._patience = math.inf, PATIENCE
