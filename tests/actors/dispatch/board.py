"""A dispatcher with the little that a test needs around it: names for workers and tasks, a clock, and what came out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from callboard.actors.dispatch.command import Assign, Command, Deliver, Halt, Kill, Notice, Publish, Recall, Retold, Warn
from callboard.actors.dispatch.dispatcher import Dispatcher
from callboard.actors.dispatch.entry import Entry
from callboard.actors.dispatch.record import WorkerInfo, WorkerRecord
from callboard.messages.codec import Packed
from callboard.messages.errors import CallboardError
from callboard.messages.spec import TaskSpec
from callboard.messages.status import TaskStatus
from callboard.messages.task import Submission
from callboard.messages.wire import Ending, Report

DONE = b"done"


def task(task_id: str, *dependencies: str, key: str | None = None, fallback: Any = None, role: str | None = "w", **spec: Any) -> Submission:
    """A submission; what is not known here goes into its spec."""
    return Submission(task_id, task_id, TaskSpec(role=role, **spec), b"input", dependencies, idempotency_key=key, fallback=fallback)


class Board:
    """Drives one dispatcher. ``where`` tells to which worker each task was sent last, ``fences`` with which fence."""

    def __init__(self, **settings: Any) -> None:
        self.dispatcher = Dispatcher(**settings)
        self.now = 100.0
        self.where: dict[str, str] = {}
        self.fences: dict[str, int] = {}
        self.told: dict[str, list[Entry | Retold]] = {}
        self.commands: list[Command] = []
        self._numbers = 0

    # -- going on -----------------------------------------------------------------------------

    def step(self) -> list[Command]:
        """Flush until there is nothing more to be done."""
        made: list[Command] = []
        while commands := self.dispatcher.flush(self.now):
            made += commands
            for command in commands:
                if isinstance(command, Assign):
                    for worker_id, entries in command.by_worker.items():
                        self.where |= dict.fromkeys([entry.task_id for entry in entries], worker_id)
                        self.fences |= {entry.task_id: entry.fence for entry in entries}
                elif isinstance(command, Deliver):
                    self.told.setdefault(command.client, []).extend(command.entries)
        self.commands += made
        return made

    def later(self, seconds: float) -> list[Command]:
        """Let time pass, stopping wherever something is due."""
        until = self.now + seconds
        made = self.step()
        while (due := self.dispatcher.agenda.next()) is not None and due <= until:
            self.now = max(self.now, due)
            made += self.step()
        self.now = until
        return made + self.step()

    # -- what happens -------------------------------------------------------------------------

    def worker(self, name: str, skills: dict[str, int] | None = None, role: str = "w", slots: int = 1, **more: Any) -> WorkerRecord:
        """A worker joins."""
        self.join(name, skills, role, slots, **more)
        return self.record(name)

    def join(
        self,
        name: str,
        skills: dict[str, int] | None = None,
        role: str = "w",
        slots: int = 1,
        held: Sequence[tuple[str, int]] = (),
        same_epoch: bool = True,
        token: str | None = None,
    ) -> list[str]:
        """A worker says hello; returns what it should drop."""
        info = WorkerInfo(name, name, role, skills or {}, slots, token=token)
        drop = self.dispatcher.join(info, self.now, 0.0, held, same_epoch)
        self.step()
        return drop

    def submit(self, *submissions: Submission, client: str = "client", again: bool = False) -> list[CallboardError]:
        """A client submits; returns why some were refused."""
        refused = self.dispatcher.submit(client, submissions, self.now, 0.0, again)
        self.step()
        return [error for _, error in refused]

    def report(
        self,
        task_id: str,
        ending: int = Ending.COMPLETED,
        micros: int = 1000,
        output: Packed = DONE,
        error: str | None = None,
        again: float | None = None,
        worker: str | None = None,
        fence: int | None = None,
    ) -> bool:
        """A worker tells how an attempt ended, by default the last one where it is."""
        known = self.report_many([task_id], ending, micros, output, error, again, worker, fence)
        self.step()
        return known

    def report_many(
        self,
        ids: Sequence[str],
        ending: int = Ending.COMPLETED,
        micros: int = 1000,
        output: Packed = DONE,
        error: str | None = None,
        again: float | None = None,
        worker: str | None = None,
        fence: int | None = None,
    ) -> bool:
        """A worker tells of many, without a step."""
        self._numbers += 1
        rows = range(len(ids))
        report = Report(
            epoch="e",
            number=self._numbers,
            ids=list(ids),
            fences=[self.fences.get(task_id, 0) if fence is None else fence for task_id in ids],
            endings=[ending for _ in rows],
            micros=[micros for _ in rows],
            errors={} if error is None else dict.fromkeys(rows, error),
            again={} if again is None else dict.fromkeys(rows, again),
        )
        return self.dispatcher.report(worker or self.where[ids[0]], report, [output for _ in rows], self.now)

    def complete(self, *ids: str) -> None:
        """These complete, one after the other."""
        for task_id in ids:
            self.report(task_id)

    def lose(self, name: str, running: Sequence[str] | None = None, reason: str = "was killed by signal 9") -> None:
        """A worker is gone."""
        self.dispatcher.lost(name, self.now, reason, running)
        self.step()

    def hand_back(self, name: str, *ids: str) -> None:
        """A worker hands back what it has not begun."""
        self.dispatcher.hand_back(name, ids, [self.fences[task_id] for task_id in ids], self.now)
        self.step()

    def park(self, task_id: str, parked: bool = True) -> None:
        """A running task waits for others, or goes on."""
        self.dispatcher.park(self.where[task_id], task_id, parked, self.now)
        self.step()

    def cancel(self, *ids: str, force: bool = False) -> list[str]:
        """A client cancels."""
        accepted = self.dispatcher.cancel(ids, force, self.now)
        self.step()
        return accepted

    def close(self) -> None:
        """Nothing comes from outside any more."""
        self.dispatcher.close(self.now)
        self.step()

    # -- what came of it ----------------------------------------------------------------------

    def __getitem__(self, task_id: str) -> Entry:
        return self.dispatcher.entry(task_id)

    def known(self) -> list[Entry]:
        """All tasks that are remembered: those that nobody needs any more in the order of their ends, then the others as they came."""
        ledger = self.dispatcher.ledger
        return [self[task_id] for task_id in (*ledger.archive, *ledger.entries)]

    def record(self, name: str) -> WorkerRecord:
        """A worker's record."""
        return self.dispatcher.roster.workers[name]

    def status(self, *ids: str) -> list[TaskStatus]:
        """The statuses as a person sees them."""
        return [self[task_id].seen_status() for task_id in ids]

    def running(self, name: str) -> list[str]:
        """What was sent to a worker and has not ended, in order."""
        return list(self.record(name).inflight)

    def outcomes(self, client: str = "client") -> list[tuple[str, str]]:
        """What a client was told, in order."""
        return [(entry.task_id, entry.status.value) for entry in self.told.get(client, [])]

    def failure(self, task_id: str) -> str | None:
        """The class of a task's failure."""
        failure = self[task_id].failure
        return failure.type_name if failure is not None else None

    def notices(self) -> list[Notice]:
        """All that was published."""
        return [notice for command in self.commands if isinstance(command, Publish) for notice in command.notices]

    def topics(self) -> list[str]:
        """The topics of what was published."""
        return [notice.topic for notice in self.notices()]

    def warnings(self) -> list[str]:
        """What was written to the log."""
        return [command.text for command in self.commands if isinstance(command, Warn)]

    def recalls(self) -> list[Recall]:
        """The recalls that were sent."""
        return [command for command in self.commands if isinstance(command, Recall)]

    def halts(self) -> list[Halt]:
        """The halts that were sent."""
        return [command for command in self.commands if isinstance(command, Halt)]

    def kills(self) -> list[Kill]:
        """The workers that are to be ended."""
        return [command for command in self.commands if isinstance(command, Kill)]
