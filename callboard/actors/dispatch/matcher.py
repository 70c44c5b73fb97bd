"""Who gets what: ready tasks to idle workers, then a little work ahead to busy ones, and back again if need be."""

from __future__ import annotations

from collections.abc import Callable

from callboard.actors.dispatch.command import Outbox, Recall
from callboard.actors.dispatch.entry import Entry
from callboard.actors.dispatch.requirement import Profile, Requirement
from callboard.actors.dispatch.roster import Roster, WorkerRecord, ahead_allowed
from callboard.messages.status import TaskStatus

RUNNING = TaskStatus.RUNNING
Admit = Callable[[Entry, float], bool]


class Matcher:
    """Assigns ready tasks. ``admit`` may refuse a task at the last moment (an open circuit), and has then dealt with it."""

    def __init__(self, roster: Roster, outbox: Outbox, admit: Admit) -> None:
        self._roster = roster
        self._outbox = outbox
        self._admit = admit
        self._alone: list[Entry] = []  # suspects that wait for a worker with nothing else on it

    def step(self, now: float) -> list[Entry]:
        """Assign all that can be; returns what was assigned and has a timeout."""
        timed: list[Entry] = []
        if self._alone:
            waiting, self._alone = self._alone, []
            for entry in waiting:
                if not entry.final:
                    entry.category.requirement.push(entry)
        idle = self._roster.idle_profiles
        while idle:
            requirement = self._best(idle)
            if requirement is None:
                break
            entry = requirement.pop()
            if entry.category.breaker_key is not None and not self._admit(entry, now):
                continue
            worker = self._suitable(entry, requirement)
            if worker is not None:
                self._assign(worker, entry)
                self._roster.refresh(worker, now)
                if entry.category.timeout is not None:
                    timed.append(entry)
        return timed

    def _best(self, profiles: dict[Profile, None]) -> Requirement | None:
        best, best_order = None, None
        for profile in profiles:
            requirement = profile.next_requirement()
            if requirement is not None:
                order = requirement.head()
                if best_order is None or (order is not None and order < best_order):
                    best, best_order = requirement, order
        return best

    def _suitable(self, entry: Entry, requirement: Requirement) -> WorkerRecord | None:
        worker = requirement.idle_worker()
        if not entry.rare.suspect:
            return worker
        for _, profile in requirement.profiles:
            for _, _, candidate in profile.idle:
                if not candidate.inflight:
                    candidate.exclusive = True
                    return candidate  # type: ignore[no-any-return]
        self._alone.append(entry)
        return None

    def _assign(self, worker: WorkerRecord, entry: Entry) -> None:
        entry.fence += 1
        entry.status = RUNNING
        entry.worker = worker
        worker.inflight[entry.task_id] = entry
        assigned = self._outbox.assigned
        worker_id = worker.info.worker_id
        if worker_id in assigned:
            assigned[worker_id].append(entry)
        else:
            assigned[worker_id] = [entry]

    def ahead(self, profiles: dict[Profile, None], now: float) -> None:
        """Send some of what is still ready to busy workers of these profiles, so that they need not wait for the post."""
        for profile in profiles:
            for worker in list(profile.spare):
                requirement = profile.next_requirement()
                if requirement is None or not self._top_up(worker, requirement, len(profile.spare)):
                    break
                self._roster.refresh(worker, now)

    def _top_up(self, worker: WorkerRecord, requirement: Requirement, sharing: int) -> bool:
        """Fill one worker's share; False when the next task may not be sent ahead to anybody."""
        ready = requirement.ready
        category = ready[0][1].category
        allowed = ahead_allowed(category.mean, category.timeout)
        if allowed == 0:
            return False
        room = worker.info.slots + allowed - len(worker.inflight)
        if room * 4 < allowed:
            worker.profile.spare.pop(worker, None)  # full enough; its next report brings it back
            return True
        share = -(-len(ready) // sharing)
        for _ in range(min(room, share)):
            if not ready or ready[0][1].category is not category:
                break
            if category.breaker_key is not None or ready[0][1].rare.suspect:
                break
            self._assign(worker, requirement.pop())
        return True

    def rebalance(self) -> None:
        """Recall part of what waits at busy workers while others, who could do it, are idle."""
        idle = self._roster.idle_profiles
        for worker in list(self._roster.loaded):
            if worker.recalling or not idle:
                continue
            queued = list(worker.inflight.values())[worker.info.slots + len(worker.parked) :]
            free = [entry for entry in queued if self._takers(entry.category.requirement)]
            if free:
                worker.recalling = True
                keep = len(free) // 2
                self._outbox.others.append(Recall(worker.info.worker_id, [entry.task_id for entry in free[keep:]]))

    def _takers(self, requirement: Requirement) -> bool:
        return any(profile.idle for _, profile in requirement.profiles)
