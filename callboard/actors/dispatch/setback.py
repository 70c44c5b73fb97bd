"""What follows when an attempt did not complete: the task is tried again, at once or later, or it has failed."""

from __future__ import annotations

from collections.abc import Callable

from callboard.actors.dispatch.agenda import Agenda
from callboard.actors.dispatch.backlog import Backlog
from callboard.actors.dispatch.command import Kill, Outbox
from callboard.actors.dispatch.ending import Endings
from callboard.actors.dispatch.entry import NOTHING_RARE, Entry
from callboard.actors.dispatch.ledger import Ledger
from callboard.actors.dispatch.matcher import STOP_GRACE
from callboard.messages.codec import Packed
from callboard.messages.errors import TaskTimedOut, WorkerDied
from callboard.messages.failure import Failure
from callboard.messages.status import TaskStatus
from callboard.messages.wire import Ending, Report

PENDING = TaskStatus.PENDING


class Setbacks:
    """Decides by the worker's word, by the numbers of the retry policy, and by how often workers died."""

    def __init__(self, ledger: Ledger, agenda: Agenda, outbox: Outbox, max_worker_deaths: int, random: Callable[[], float]) -> None:
        self._ledger = ledger
        self._agenda = agenda
        self._outbox = outbox
        self._max_worker_deaths = max_worker_deaths
        self._random = random

    def attach(self, backlog: Backlog, endings: Endings) -> None:
        """Where tasks wait, and how they end."""
        self._backlog = backlog
        self._endings = endings

    # -- at once ------------------------------------------------------------------------------

    def make_ready(self, entry: Entry, now: float) -> None:
        """The task can be assigned, unless it waits for others; what an earlier manager had begun may still."""
        if entry.waiting_for == 0:
            self._backlog.add(entry, now)
            return
        broken = self._ledger.broken(entry)
        if broken is not None:
            self._endings.skip(entry, broken, now)

    def again(self, entry: Entry, now: float) -> None:
        """Assign once more what was cut short by no fault of its own."""
        entry.worker = None
        self._agenda.disarm(entry)
        if entry.rare.cancelling:
            self._endings.cancel(entry, now)
            return
        if entry.category.breaker_key is not None:
            self._endings.fuses.abandoned(entry, now)
        if entry.rare is not NOTHING_RARE:
            entry.rare.overrun = False
        entry.become(PENDING)
        self.make_ready(entry, now)

    # -- by the worker's word -------------------------------------------------------------------

    def failed(self, entry: Entry, report: Report, row: int, output: Packed, now: float) -> None:
        """A worker reported any other ending than a completion, or the completion of what was cancelled."""
        ending = report.endings[row]
        if entry.rare.cancelling or ending == Ending.CANCELLED:
            if ending == Ending.CANCELLED and report.micros[row] == 0:
                entry.attempts -= 1  # it was stopped before it began
            self._endings.cancel(entry, now, (report.errors or {}).get(row))
        elif ending == Ending.TIMED_OUT:
            self.timed_out(entry, now)
        else:
            entry.own_rare().failures += 1
            entry.note_error((report.errors or {}).get(row, "failed"), (report.failures or {}).get(row))
            entry.output = output if output else None
            delay = (report.again or {}).get(row)
            if delay is None:
                self._endings.fail(entry, now)
            else:
                self._later(entry, delay, now)

    def timed_out(self, entry: Entry, now: float) -> None:
        """The attempt overran; the numbers of the policy say whether there is another."""
        spec = entry.category.spec
        rare = entry.own_rare()
        rare.failures += 1
        error = TaskTimedOut(f"task {entry.name!r} ran longer than its timeout of {spec.timeout} s")
        entry.note_error(str(error), Failure.of(error))
        entry.output = None
        if spec.retry is not None and rare.failures < spec.retry.max_attempts:
            self._later(entry, spec.retry.delay(rare.failures, self._random()), now)
        else:
            self._endings.fail(entry, now)

    def _later(self, entry: Entry, delay: float, now: float) -> None:
        entry.worker = None
        entry.output = None
        if entry.category.breaker_key is not None:
            self._endings.fuses.failed(entry, now)
        rare = entry.own_rare()
        rare.suspect = False  # it came to an end without taking its worker along
        if rare.begun is None:
            rare.begun = now - entry.micros / 1e6
        entry.become(PENDING)
        if "task.retrying" in self._endings.wanted:
            self._endings.notice("task.retrying", entry, {"error": entry.error, "delay": delay, "failures": rare.failures}, now)
        self._agenda.arm(entry, now + delay, self.make_ready)

    # -- by deaths ----------------------------------------------------------------------------

    def excuses(self, entry: Entry) -> bool:
        """Whether a task that waited for others when its worker could no longer be reached is taken to be innocent.

        It may have gone on, and its word of that have been lost with the worker: so not when it happens time and again.
        """
        rare = entry.own_rare()
        rare.excused += 1
        return rare.excused <= self._max_worker_deaths

    def blame(self, entry: Entry, reason: str, ambiguous: bool, now: float) -> None:
        """The task was running when its worker died, perhaps (``ambiguous``) one of several that were."""
        rare = entry.own_rare()
        entry.attempts += 1
        entry.worker = None
        if entry.rare.cancelling:
            self._endings.cancel(entry, now)
        elif rare.overrun:
            rare.overrun = False
            self.timed_out(entry, now)
        else:
            rare.deaths += 1
            rare.suspect = ambiguous
            if rare.deaths < self._max_worker_deaths:
                self.again(entry, now)
            else:
                text = f"task {entry.name!r} was running when worker {entry.worker_name!r} {reason}, {rare.deaths} times in all"
                self._endings.fail(entry, now, WorkerDied(text))

    def overdue(self, entry: Entry, now: float) -> None:
        """The worker should have stopped the attempt and did not: the worker itself has to go."""
        worker = entry.worker
        assert worker is not None  # the deadline goes when the attempt does
        again = now + STOP_GRACE + (entry.category.timeout or 0.0)
        if entry.rare.cancelling or worker.is_running(entry):
            entry.own_rare().overrun = not entry.rare.cancelling
            worker.condemned = True
            again = now + STOP_GRACE
            self._outbox.others.append(Kill(worker.info.worker_id, f"did not stop task {entry.name!r}"))
        # One that waits behind others has not overrun.
        self._agenda.arm(entry, again, self.overdue)

    def insist(self, entry: Entry, now: float) -> None:
        """See to it that the attempt stops soon."""
        if entry.timer is None or entry.timer.action is None or entry.timer.when > now + STOP_GRACE:
            self._agenda.arm(entry, now + STOP_GRACE, self.overdue)
