"""The core under random faults, and that the simulation would notice if it were wrong."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from callboard.actors.dispatch.attendance import Attendance
from callboard.actors.dispatch.dispatcher import Dispatcher
from callboard.actors.dispatch.record import WorkerRecord
from callboard.actors.sequence import Heard, Verdict
from callboard.messages.codec import Packed
from callboard.messages.wire import Report
from tests.simulation.__main__ import main
from tests.simulation.invariant import Violated
from tests.simulation.world import FAULTS, World, simulate

SCHEDULES = 1000
SCHEDULES_FULL = 20_000
PARTS = 5
"""Parts of the schedules, for test processes to share."""
BITES_WITHIN = 200
"""Seeds that are tried until a fault that was put in must have been found."""


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
def test_all_invariants_hold_under_random_faults(part: int, full: bool, figure: Callable[[str, object], None]) -> None:
    count = SCHEDULES_FULL if full else SCHEDULES
    seeds = range(part, count, PARTS)
    tasks = 0
    for seed in seeds:
        tasks += simulate(seed).manager.dispatcher.taken
    figure(f"simulated schedules, part {part}", f"{len(seeds):,} of {FAULTS} faults each, {tasks:,} tasks, every invariant held")


def test_a_seed_repeats_itself() -> None:
    traces = []
    for _ in range(2):
        world = World(4, 100)
        world.trace = []
        world.run()
        traces.append(world.trace)
    assert traces[0] == traces[1]
    assert any("dies" in line for line in traces[0])


def test_every_kind_of_fault_happens() -> None:
    words = ("dies", "stalls", "cut off", "leaves", "cancels", "the manager dies", "assign", "lost")
    lines: list[str] = []
    for seed in range(0, 24, 4):
        world = World(seed)
        world.trace = []
        world.run()
        lines += world.trace
    assert [word for word in words if not any(word in line for line in lines)] == []


def test_a_seed_replays_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["3", "20"]) == 0
    assert "seed 3: all invariants held" in capsys.readouterr().out
    assert main(["three"]) == 2


def first_failure() -> str:
    """What the first failing seed among the first few says."""
    for seed in range(BITES_WITHIN):
        try:
            simulate(seed)
        except Violated as error:
            assert re.fullmatch(rf"replay it with: python -m tests.simulation {seed} {FAULTS}", error.__notes__[0])
            return str(error)
    return "nothing was found"


def test_it_notices_attempts_without_a_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    check = Dispatcher._foreign_result

    def take_it(self: Dispatcher, worker: WorkerRecord, report: Report, row: int, packed: Packed) -> None:
        check(self, worker, report, row, packed)
        entry = self.ledger.find(report.ids[row])
        if entry is not None and entry.worker is not None:
            holder = entry.worker
            del holder.inflight[entry.task_id]
            entry.output = packed
            self.endings.complete(entry, 0.0)
            self._attendance.settle(holder, 0.0)

    monkeypatch.setattr(Dispatcher, "_foreign_result", take_it)
    assert "the answer of an older attempt was taken" in first_failure()


def test_it_notices_blame_for_all_that_a_worker_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkerRecord, "running", lambda self: list(self.inflight.values()))
    assert "was blamed for a death and had not begun" in first_failure()


def test_it_notices_that_a_lost_workers_tasks_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Attendance, "_bereave", lambda *arguments: None)
    assert "runs nowhere" in first_failure()


def test_it_notices_that_a_missing_report_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def take(self: Heard, number: int) -> Verdict:
        before, self.upto = self.upto, max(self.upto, number)
        return Verdict.NEXT if number > before else Verdict.AGAIN

    monkeypatch.setattr(Heard, "judge", lambda self, number: Verdict.NEXT if number > self.upto else Verdict.AGAIN)
    monkeypatch.setattr(Heard, "take", take)
    assert "open after" in first_failure()


def test_it_notices_work_that_is_taken_before_the_welcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.worker.WORK", frozenset())
    assert "was blamed for a death and had not begun" in first_failure()
