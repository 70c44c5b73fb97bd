"""Workers of the same kind."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from callboard.actors.dispatch.offer import Offers
from callboard.actors.dispatch.queue import Queue

if TYPE_CHECKING:
    from callboard.actors.dispatch.pool import Pool
    from callboard.actors.dispatch.roster import WorkerRecord

IdleKey = tuple[float, int]
"""Since when a worker is idle, and as which it joined."""


class Profile:
    """All workers of one role and one set of levels, and what is ready for them."""

    __slots__ = ("idle", "members", "offers", "present", "role", "skills", "spare")

    def __init__(self, role: str, skills: dict[str, int]) -> None:
        self.role = role
        self.skills = skills
        self.present = 0  # workers that are connected and not leaving
        self.members = 0
        self.idle: Queue[IdleKey, WorkerRecord] = Queue()
        self.spare: OrderedDict[WorkerRecord, None] = OrderedDict()  # busy workers to which something may be sent ahead
        self.offers: Offers[Pool] = Offers()
