"""Workers of the same kind."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING

from callboard.actors.dispatch.idle import Idle
from callboard.actors.dispatch.offer import Offers

if TYPE_CHECKING:
    from callboard.actors.dispatch.pool import Pool
    from callboard.actors.dispatch.record import WorkerRecord


class Profile:
    """All workers of one role and one set of levels, and what is ready for them."""

    __slots__ = ("idle", "lowest", "members", "mixed", "offers", "present", "role", "skills", "spare")

    def __init__(self, role: str, skills: dict[str, int]) -> None:
        self.role = role
        self.skills = skills
        self.present = 0  # workers that are connected and not leaving
        self.members = 0
        self.idle = Idle()
        self.spare: OrderedDict[WorkerRecord, None] = OrderedDict()  # workers that may get more than they can run at once
        self.offers: Offers[Pool] = Offers()
        self.lowest: float = math.inf  # no priority of what waits at its workers is lower
        self.mixed = False  # something was sent behind what is less urgent

    @property
    def uneven(self) -> bool:
        """Whether something may wait at a worker before what is more urgent, be that there as well or ready."""
        first = self.offers.first()
        return self.mixed or (first is not None and first[0].priority > self.lowest)

    def spare_or_not(self, worker: WorkerRecord, spare: bool) -> None:
        """Something, or nothing (more), may be sent ahead to a worker."""
        worker.spare = spare
        if spare:
            self.spare[worker] = None
        else:
            del self.spare[worker]

    def sent_ahead(self, priority: int) -> None:
        """Something of this priority waits at a worker, behind all that was sent there before."""
        self.mixed = self.mixed or priority > self.lowest
        self.lowest = min(self.lowest, priority)
