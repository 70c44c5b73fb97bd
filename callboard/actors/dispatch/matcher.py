"""Who gets what: ready tasks to idle workers, then a little work ahead to busy ones, and back again if need be."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heapreplace
from itertools import islice

from callboard.actors.dispatch.agenda import Action, Agenda
from callboard.actors.dispatch.command import Outbox, Recall
from callboard.actors.dispatch.entry import Entry
from callboard.actors.dispatch.offer import Order
from callboard.actors.dispatch.pool import Pool, longest_idle
from callboard.actors.dispatch.profile import Profile
from callboard.actors.dispatch.record import WorkerRecord
from callboard.actors.dispatch.requirement import Requirement
from callboard.actors.dispatch.roster import Roster
from callboard.messages.status import TaskStatus

RUNNING = TaskStatus.RUNNING

STOP_GRACE = 2.0
"""Seconds that a worker has to stop an attempt that overran or is stopped by force, before its process is ended."""
MAX_FENCES = 1 << 16
"""How many assignments of one task are told apart."""
ROUNDING = 1e-9
MAX_LOOKS = 2000
"""How many queued tasks a rebalancing looks at, so that it stays short however much is loaded."""

Admit = Callable[[Entry, float], bool]


class Matcher:
    """Assigns ready tasks. ``admit`` may refuse a task at the last moment (an open circuit), and has then dealt with it;
    ``overdue`` is called when an attempt should have been stopped at its timeout and was not. Assignments of a task are
    numbered from ``fences`` on, which should differ from an earlier manager's."""

    def __init__(self, roster: Roster, outbox: Outbox, agenda: Agenda, admit: Admit, overdue: Action, fences: int) -> None:
        self._roster = roster
        self._outbox = outbox
        self._agenda = agenda
        self._admit = admit
        self._overdue = overdue
        self._fences = fences

    def step(self, now: float) -> None:
        """Assign all that can be to idle workers, in the order of the tasks."""
        idle, offers = self._roster.idle_profiles, self._roster.pools.offers
        while idle and (first := offers.first()) is not None:
            pool, until = first
            if not self._draw(pool, until, now):
                self._search(idle, now)
                return

    def _search(self, idle: Iterable[Profile], now: float) -> None:
        """Nobody is there for the very first: assign what idle workers can take of the rest."""
        pools = {pool for profile in idle for pool in profile.offers.all()}
        rows = [(pool.top, pool.number, pool) for pool in pools if pool.top is not None]
        heapify(rows)
        while rows:
            pool = rows[0][2]
            drawn = self._draw(pool, min(rows[1:3])[0] if len(rows) > 1 else None, now)
            if drawn and pool.top is not None:
                heapreplace(rows, (pool.top, pool.number, pool))
            else:
                heappop(rows)

    def _draw(self, pool: Pool, until: Order | None, now: float) -> bool:
        """Assign the first tasks of a pool, up to this order, to idle workers, the least skilled first; False when nobody was
        there for the first."""
        drawn = False
        for equals in pool.standing:
            profile = longest_idle(equals)
            while profile is not None:
                drawn = True
                top = pool.top
                if top is None or (until is not None and top > until):
                    return True
                entry = pool.take()
                if entry.category.breaker_key is None or self._admit(entry, now):
                    worker = profile.idle.first()
                    self.assign(worker, entry, now)
                    self._roster.engage(worker, now)
                if len(equals) > 1 or profile.idle.top is None:
                    profile = longest_idle(equals)
        return drawn

    def assign(self, worker: WorkerRecord, entry: Entry, now: float) -> None:
        """Send a task to a worker."""
        entry.fence = self._next_fence(entry.fence) if entry.fence else self._fences + 1
        entry.status = RUNNING
        entry.worker = worker
        worker.inflight[entry.task_id] = entry
        category = entry.category
        if category.expires_in is not None:
            category.requirement.waiting.pop(entry, None)
            self._agenda.disarm(entry)
        if category.timeout is not None:
            self.watch(entry, now)
        self._outbox.assigned[worker.worker_id].append(entry)

    def _next_fence(self, fence: int) -> int:
        # One of an earlier manager, with whose attempt the task went on, is out of the range.
        return fence + 1 if 0 < fence - self._fences < MAX_FENCES - 1 else self._fences + 1

    def watch(self, entry: Entry, now: float) -> None:
        """Look after the attempt's timeout, if it has one."""
        if entry.category.timeout is not None:
            self._agenda.arm(entry, now + entry.category.timeout + STOP_GRACE, self._overdue)

    def ahead(self, profiles: Iterable[Profile], now: float) -> None:
        """Send some of what is still ready to busy workers of these profiles, so that they need not wait for the post."""
        takers: dict[Pool, int] = {}
        for profile in profiles:
            if not profile.spare:
                continue
            share = _share(profile, takers)
            first = profile.offers.first()
            if first is None:
                continue
            due, sent = 0.0, 0
            for _ in range(len(profile.spare)):
                due += share
                more = self._top_up(profile, first, max(1, math.ceil(due - ROUNDING) - sent), now)
                if more is None:
                    break
                sent += more

    def _top_up(self, profile: Profile, first: tuple[Pool, Order | None], share: int, now: float) -> int | None:
        """Send the next busy worker of a profile up to so many; returns how many, None when there is nothing (more) that may
        be sent ahead. ``first`` is the pool to begin with, and up to which order."""
        pool, until = first
        worker = next(iter(profile.spare))
        free = worker.slots - len(worker.inflight) - len(worker.foreign)
        category = None
        room = sent = 0
        while sent < share:
            top = pool.top
            if top is None or (until is not None and top > until):
                following = profile.offers.first()
                if following is None:
                    break
                pool, until = following
            entry = pool.peek()
            if entry.category is not category:
                category = entry.category
                allowed = category.ahead
                if allowed == 0:
                    break
                room = free + allowed - sent
                if sent == 0 and room * 4 < allowed:
                    profile.spare_or_not(worker, False)  # full enough; its next report brings it back
                    return 0
                if room > 0 and category.priority != profile.lowest:
                    profile.sent_ahead(category.priority)
            if room <= 0:
                break
            self.assign(worker, pool.take(), now)
            sent += 1
            room -= 1
        if sent == 0:
            return None
        profile.spare.move_to_end(worker)  # the others come first the next time
        self._roster.refresh(worker, now)
        return sent

    def rebalance(self) -> None:
        """Recall part of what waits at busy workers while others, who could do it, are idle, and all that waits there before
        what is more urgent."""
        takers: dict[Requirement, bool] = {}
        lowest: dict[Profile, float] = {}
        looks = 0
        for worker in list(islice(self._roster.loaded, MAX_LOOKS)):
            if looks > MAX_LOOKS:
                return
            profile, queued = worker.profile, worker.queued()
            looks += 1 + len(queued)
            free = [entry for entry in queued if _taken(entry.category.requirement, takers)]
            back = {} if worker.recalling else dict.fromkeys([*free[len(free) // 2 :], *_overtaken(profile, queued)])
            if back:
                worker.recalling = worker.stuck = worker.peculiar = True
                if worker.spare:
                    profile.spare_or_not(worker, False)
                self._outbox.others.append(Recall(worker.worker_id, [entry.task_id for entry in back]))
            else:
                # The others get their turn before this one is looked at again.
                del self._roster.loaded[worker]
                self._roster.loaded[worker] = None
            left = [entry.category.priority for entry in queued if entry not in back]
            lowest[profile] = min([lowest.get(profile, math.inf), *left])
        for profile in self._roster.profiles.values():
            profile.lowest, profile.mixed = lowest.get(profile, math.inf), False


def _overtaken(profile: Profile, queued: list[Entry]) -> list[Entry]:
    """What waits at a worker before something more urgent, which is behind it or ready."""
    first = profile.offers.first()
    urgent = -math.inf if first is None else first[0].priority
    found = []
    for entry in reversed(queued):
        if entry.category.priority < urgent:
            found.append(entry)
        urgent = max(urgent, entry.category.priority)
    return found[::-1]


def _share(profile: Profile, takers: dict[Pool, int]) -> float:
    """How many of the ready tasks fall to each busy worker of a profile; ``takers`` are those among whom each pool is
    still to be shared."""
    share = 0.0
    for pool in profile.offers.all():
        if pool not in takers:
            takers[pool] = sum(len(other.spare) for other in pool.profiles)
        share += len(pool) / max(1, takers[pool])
        takers[pool] -= len(profile.spare)
    return share


def _taken(requirement: Requirement, known: dict[Requirement, bool]) -> bool:
    if requirement not in known:
        known[requirement] = any(profile.idle.top is not None for profile in requirement.met_by)
    return known[requirement]
