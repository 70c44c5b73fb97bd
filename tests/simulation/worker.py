"""A worker's host as the simulation needs it: a row, slots, reports that are kept until they are acknowledged."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from callboard.actors.dispatch.record import WorkerInfo
from callboard.actors.sequence import Kept
from callboard.messages.spec import TaskSpec
from callboard.messages.wire import Ending, Report
from tests.simulation.client import Submitter
from tests.simulation.manager import Outcome

if TYPE_CHECKING:
    from tests.simulation.world import World


WORK = frozenset({"assign", "probe", "recall", "halt"})
"""What means nothing until the newest hello was answered."""


class Attempt:
    """What the worker was given once."""

    __slots__ = ("children", "fence", "halted", "nonce", "parked", "spec", "started", "stubborn", "task_id")

    def __init__(self, task_id: str, fence: int, spec: TaskSpec, nonce: int) -> None:
        self.task_id = task_id
        self.fence = fence
        self.spec = spec
        self.nonce = nonce
        self.started: float | None = None
        self.halted = False
        self.parked = False
        self.stubborn = False  # does not stop when it is asked to
        self.children: set[str] = set()


class Worker(Submitter):
    """Runs attempts in order, so many at a time. ``local`` ones are started by a supervisor that sees what they run."""

    def __init__(self, world: World, info: WorkerInfo, local: bool) -> None:
        super().__init__(world, info.worker_id)
        self.info = info
        self.local = local
        self.alive = True
        self.stalled = False
        self._inbox: list[tuple[Any, ...]] = []
        self._later: list[tuple[Any, ...]] = []
        self._held: dict[str, Attempt] = {}
        self._row: deque[Attempt] = deque()
        self._running: dict[Attempt, None] = {}
        self._reports: Kept[tuple[Report, list[bytes]]] = Kept()
        self._epoch: int | None = None
        self._leaving = False

    # -- for the world ------------------------------------------------------------------------

    def waits(self, task_id: str, fence: int) -> bool:
        """Whether the attempt stands in its row, and no earlier one of the same task runs."""
        return any((one.task_id, one.fence) == (task_id, fence) for one in self._row) and task_id not in self.running_ids()

    def running_ids(self) -> list[str]:
        """What it has begun and not ended."""
        return [attempt.task_id for attempt in self._running]

    def noted_ids(self) -> list[str]:
        """What it runs, as it notes where its supervisor sees it: not what waits for other tasks."""
        return [attempt.task_id for attempt in self._running if not attempt.parked]

    def connected(self) -> None:
        """The link is there (again)."""
        if not self.stalled:
            self._hello()
        else:
            self._later.append((self._hello,))

    def stall(self) -> None:
        """Stop doing anything."""
        self.stalled = True

    def go_on(self) -> None:
        """Do all that has piled up."""
        self.stalled = False
        later, self._later = self._later, []
        inbox, self._inbox = self._inbox, []
        for action, *arguments in later:
            action(*arguments)
        for message in inbox:
            self.hear(*message)

    def leave(self) -> None:
        """Take no more, finish what runs, and end."""
        if self.alive and not self._leaving:
            self._leaving = True
            self._say("leaving")
            self._give_back(self._take_row(None))
            self._perhaps_end()

    # -- the conversation -----------------------------------------------------------------------

    def _hello(self) -> None:
        held = [(attempt.task_id, attempt.fence) for attempt in self._held.values()]
        for report, _ in self._reports:
            held += zip(report.ids, report.fences, strict=True)
        self.greeting.said(self.world.clock.now)
        self._say("hello", self.greeting.number, self.info, held, self._epoch, self._leaving, self._reports.settled)

    def hear(self, kind: str, *body: Any) -> None:
        """The manager says something. Until it has welcomed the last hello it means what was here before that."""
        if not self.alive:
            return
        if self.stalled:
            self._inbox.append((kind, *body))
        elif kind == "rejoin":
            self.greet()
        elif kind not in WORK or self.greeting.answered:
            getattr(self, f"_on_{kind}")(*body)

    def _on_welcome(self, answers: int, epoch: int, settled: int) -> None:
        if not self.greeting.welcomed(answers):
            return
        self._epoch = epoch
        for report, outputs in self._reports:
            self._say("report", report, outputs)
        for attempt in self._running:
            if attempt.parked:
                self._park(attempt, True)
        self.rejoined(settled)

    def _on_probe(self, acked: int) -> None:
        self._reports.acknowledged(acked)
        self._perhaps_end()

    def _on_assign(self, rows: list[tuple[str, int, TaskSpec, int]], acked: int) -> None:
        self._on_probe(acked)
        attempts = [Attempt(*row) for row in rows]
        for attempt in attempts:
            self._held[attempt.task_id] = attempt
        if self._leaving:
            self._give_back(attempts)
        else:
            self._row.extend(attempts)
            self._pump()

    def _on_recall(self, ids: list[str]) -> None:
        self._give_back(self._take_row(set(ids)))

    def _take_row(self, ids: set[str] | None) -> list[Attempt]:
        taken = [attempt for attempt in self._row if ids is None or attempt.task_id in ids]
        self._row = deque(attempt for attempt in self._row if attempt not in taken)
        return taken

    def _give_back(self, attempts: list[Attempt]) -> None:
        for attempt in attempts:
            if self._held.get(attempt.task_id) is attempt:
                del self._held[attempt.task_id]
        self._say("hand_back", [attempt.task_id for attempt in attempts], [attempt.fence for attempt in attempts])

    def _on_halt(self, ids: list[str], force: bool) -> None:
        self._report([(attempt, Ending.CANCELLED, 0, None) for attempt in self._take_row(set(ids))])
        for task_id in ids:
            attempt = self._held.get(task_id)
            if attempt is None:
                continue
            attempt.halted = True
            if attempt in self._running and not attempt.stubborn:
                self._finish(attempt, Ending.CANCELLED)
            elif attempt in self._running and force and self.world.random.random() < 0.7:
                # Its thread is lost, so the process has to end once the others are done.
                self._report([(attempt, Ending.CANCELLED, 1000, None)])
                self.leave()

    def _on_deliver(self, number: int, outcomes: list[Outcome]) -> None:
        self.take_delivery(number, outcomes)
        ended = {outcome.task_id for outcome in outcomes}
        for attempt in list(self._running):
            if attempt.children:
                attempt.children -= ended
                if not attempt.children:
                    self._unpark(attempt)

    # -- slots --------------------------------------------------------------------------------

    def _pump(self) -> None:
        slots = self.info.slots + sum(attempt.parked for attempt in self._running)
        while self._row and self.alive and len(self._running) < slots:
            attempt = self._row.popleft()
            attempt.started = self.world.clock.now
            self._running[attempt] = None
            self.world.note("begins", self.identity, attempt.task_id, attempt.fence)
            self.world.workload.behave(self, attempt)

    def later(self, delay: float, action: Any, *arguments: Any) -> None:
        """Do something after a while, unless dead by then; not while stalled."""
        self.world.clock.after(delay, self._due, action, arguments)

    def _due(self, action: Any, arguments: tuple[Any, ...]) -> None:
        if self.stalled:
            self._later.append((action, *arguments))
        elif self.alive:
            action(*arguments)

    def end(self, attempt: Attempt, ending: int, again: float | None = None) -> None:
        """The attempt comes to its end, if nothing else has ended it."""
        if attempt in self._running:
            self._finish(attempt, Ending.CANCELLED if attempt.halted and ending == Ending.FAILED else ending, again)

    def overrun(self, attempt: Attempt) -> None:
        """Its timeout has passed: what can be stopped is stopped, for the rest the process ends."""
        if attempt not in self._running:
            return
        if attempt.stubborn:
            self._report([(attempt, Ending.TIMED_OUT, 1000, None)])
            self.leave()
        else:
            self._finish(attempt, Ending.TIMED_OUT)

    def _finish(self, attempt: Attempt, ending: int, again: float | None = None) -> None:
        assert attempt.started is not None
        del self._running[attempt]
        micros = max(1, int((self.world.clock.now - attempt.started) * 1e6))
        self._report([(attempt, ending, micros, again)])
        self._pump()
        self._perhaps_end()

    def wait_for(self, attempt: Attempt, children: set[str]) -> None:
        """The task waits for others and lends its slot."""
        attempt.children = children
        attempt.parked = True
        self._park(attempt, True)
        self._pump()

    def _park(self, attempt: Attempt, parked: bool) -> None:
        if self.greeting.answered:
            self._say("park", attempt.task_id, attempt.fence, parked)

    def _unpark(self, attempt: Attempt) -> None:
        attempt.parked = False
        self._park(attempt, False)
        self.later(0.001, self.end, attempt, Ending.COMPLETED)

    def _report(self, rows: list[tuple[Attempt, int, int, float | None]]) -> None:
        rows = [row for row in rows if self._held.get(row[0].task_id) is row[0]]
        if not rows:
            return
        report = Report(
            epoch=str(self._epoch),
            number=self._reports.next,
            ids=[attempt.task_id for attempt, *_ in rows],
            fences=[attempt.fence for attempt, *_ in rows],
            endings=[ending for _, ending, *_ in rows],
            micros=[micros for _, _, micros, _ in rows],
            again={index: row[3] for index, row in enumerate(rows) if row[3] is not None},
        )
        outputs = [str(attempt.nonce).encode() for attempt, *_ in rows]
        for attempt, *_ in rows:
            del self._held[attempt.task_id]
        self._reports.add((report, outputs))
        if self.greeting.answered:
            self._say("report", report, outputs)

    def _perhaps_end(self) -> None:
        if self._leaving and self.alive and not self._held and not self._reports:
            self._say("goodbye")
            self.world.ended(self)
