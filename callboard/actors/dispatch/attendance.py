"""Workers that come, come back, leave and are lost, and what becomes of the tasks that they had."""

from __future__ import annotations

from collections.abc import Sequence

from callboard.actors.dispatch.backlog import Backlog
from callboard.actors.dispatch.command import Halt, Outbox
from callboard.actors.dispatch.ending import Endings
from callboard.actors.dispatch.entry import NOTHING_RARE, Entry, Forfeit
from callboard.actors.dispatch.ledger import Ledger
from callboard.actors.dispatch.matcher import Matcher
from callboard.actors.dispatch.record import WorkerInfo, WorkerRecord
from callboard.actors.dispatch.roster import Roster
from callboard.actors.dispatch.setback import Setbacks
from callboard.actors.dispatch.shortage import Shortage
from callboard.actors.dispatch.stray import Strays
from callboard.messages.status import TaskStatus

PENDING, RUNNING = TaskStatus.PENDING, TaskStatus.RUNNING


class Attendance:
    """Keeps the roster, and gives back to the backlog what a worker does not have any more."""

    def __init__(
        self,
        ledger: Ledger,
        roster: Roster,
        outbox: Outbox,
        backlog: Backlog,
        matcher: Matcher,
        endings: Endings,
        setbacks: Setbacks,
        shortage: Shortage,
    ) -> None:
        self._ledger = ledger
        self._roster = roster
        self._outbox = outbox
        self._backlog = backlog
        self._matcher = matcher
        self._endings = endings
        self._setbacks = setbacks
        self._shortage = shortage
        self.strays = Strays()

    # -- coming -------------------------------------------------------------------------------

    def join(self, info: WorkerInfo, now: float, wall: float, held: Sequence[tuple[str, int]], same_epoch: bool) -> list[str]:
        """A worker says hello, perhaps again; returns the ids of what it holds and should drop."""
        worker = self._roster.workers.get(info.worker_id)
        if worker is not None:
            return self._reconcile(worker, dict(held), now)
        worker = self._roster.join(info, wall)
        data: dict[str, object] = {"role": info.role, "pid": info.pid, "host": info.host}
        self._endings.notice_worker("worker.joined", info.name, data, now)
        drop: list[str] = []
        for task_id, fence in held:
            worker.holds(task_id, fence)
            entry = self._ledger.find(task_id)
            if entry is None and not same_epoch:
                self.strays.runs(task_id, info.worker_id, fence)
            elif entry is None or not _resumable(entry, fence, same_epoch):
                drop.append(task_id)
            else:
                self.resume(entry, worker, fence, now)
        self._shortage.joined()
        self.settle(worker, now)
        return drop

    def resume(self, entry: Entry, worker: WorkerRecord, fence: int, now: float) -> None:
        """A worker has an attempt of a waiting task already: that one counts."""
        self._backlog.discard(entry)
        rare = entry.rare
        if rare is not NOTHING_RARE:
            rare.suspect = False
            rare.excused = 0
            if rare.forfeit is not None:
                entry.attempts -= rare.forfeit.attempts
                rare.deaths -= rare.forfeit.deaths
                rare.forfeit = None
        entry.status = RUNNING
        worker.resume(entry, fence)
        self._matcher.watch(entry, now)

    def _reconcile(self, worker: WorkerRecord, held: dict[str, int], now: float) -> list[str]:
        # After a reconnect: what the worker never got is assigned anew, what is no longer its own it should drop. Which
        # of its tasks are parked, and what it was asked to stop, has to be said again.
        worker.recalling = False
        worker.parked.clear()
        worker.lent.clear()
        stop: list[str] = []
        for entry in list(worker.inflight.values()):
            if held.get(entry.task_id) != entry.fence:
                del worker.inflight[entry.task_id]
                self._setbacks.again(entry, now)
            elif entry.rare.cancelling:
                stop.append(entry.task_id)
        worker.foreign = {task_id: fence for task_id, fence in worker.foreign.items() if held.get(task_id) == fence}
        if stop:
            self._outbox.others.append(Halt(worker.info.worker_id, stop, False))
        self.settle(worker, now)
        return [task_id for task_id in held if task_id not in worker.inflight]

    def settle(self, worker: WorkerRecord, now: float) -> None:
        """The worker has more or less to do than before."""
        if worker.peculiar:
            worker.parked = {task_id: None for task_id in worker.parked if task_id in worker.inflight}
            worker.lent = {task_id: None for task_id in worker.lent if task_id in worker.foreign}
            if worker.alone is not None and worker.alone.worker is not worker:
                worker.alone = None
        self._roster.refresh(worker, now)
        self._backlog.touch(worker.profile)

    # -- going --------------------------------------------------------------------------------

    def leaving(self, worker_id: str, now: float) -> None:
        """The worker takes no new work; what it has begun it finishes."""
        worker = self._roster.workers.get(worker_id)
        if worker is not None and not worker.leaving:
            self._roster.leave(worker, now)
            self._endings.notice_worker("worker.left", worker.info.name, {}, now)
            self._shortage.gone(worker.profile, now)
            self._backlog.touch(worker.profile)

    def lost(self, worker_id: str, now: float, reason: str, running: Sequence[str] | None, ordered: bool) -> None:
        """The worker is gone. ``running`` are the tasks that it was running, where that is known for certain: not those
        that waited for others. ``ordered``: it was told to end, if perhaps before it came back and has this record."""
        worker = self._roster.workers.get(worker_id)
        if worker is None:
            return
        begun = worker.running() if running is None else [worker.inflight[i] for i in running if i in worker.inflight]
        waited = {worker.inflight[task_id] for task_id in worker.parked if task_id in worker.inflight}
        if running is not None:
            waited.difference_update(begun)  # went on, and its word of that was lost with the worker
        else:
            waited = {entry for entry in waited if self._setbacks.excuses(entry)}
        blamed = {entry for entry in begun if entry not in waited}
        if worker.condemned or ordered:
            # It was asked to end for the sake of some; the others did nothing.
            guilty = {entry for entry in blamed if entry.rare.cancelling or entry.rare.overrun}
            waited, blamed = waited | (blamed - guilty), guilty
        for task_id in worker.foreign:
            self.strays.gone(task_id, worker_id)
        was_leaving = worker.leaving
        entries = self._roster.drop(worker, now)
        if entries or not was_leaving:
            self._endings.notice_worker("worker.lost", worker.info.name, {"reason": reason}, now)
        for entry in entries:
            self._bereave(entry, worker, reason, entry in waited, entry in blamed, running is None or len(blamed) > 1, now)
        self._shortage.gone(worker.profile, now)
        self._backlog.touch(worker.profile)

    def _bereave(self, entry: Entry, worker: WorkerRecord, reason: str, waited: bool, blamed: bool, ambiguous: bool, now: float) -> None:
        attempts, deaths = entry.attempts, entry.rare.deaths
        overran = blamed and entry.rare.overrun
        if blamed or waited:
            entry.worker_name = worker.info.name
        if blamed:
            self._setbacks.blame(entry, reason, ambiguous, now)
        else:
            entry.attempts += waited
            self._setbacks.again(entry, now)
        if entry.status is PENDING and not overran:
            rare = entry.own_rare()
            rare.forfeit = Forfeit(entry.fence, entry.attempts - attempts, rare.deaths - deaths)


def _resumable(entry: Entry, fence: int, same_epoch: bool) -> bool:
    """Whether a waiting task's attempt that a worker has is the one that counts: the last one that was given out here,
    or one of an earlier manager's where none was."""
    if entry.status is not PENDING or entry.rare.cancelling or entry.rare.replaced or entry.rare.leader is not None:
        return False
    if not same_epoch:
        return entry.fence == 0
    forfeit = entry.rare.forfeit
    return forfeit is not None and forfeit.fence == fence == entry.fence
