"""Hypothesis plays against the core and shrinks what fails: the network is perfect here, everything else is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from callboard.actors.dispatch.command import Assign, Deliver, Halt, Recall
from callboard.actors.dispatch.dispatcher import Dispatcher
from callboard.actors.dispatch.record import WorkerInfo
from callboard.messages.errors import CallboardError, DependencyCycle, DuplicateTask
from callboard.messages.spec import RetryNumbers, TaskSpec
from callboard.messages.task import Submission
from callboard.messages.wire import Ending, Report
from tests.simulation.invariant import Invariants
from tests.simulation.world import World

ROLES = ("w", "x")
TASKS = st.integers(0, 14).map(lambda number: f"t{number}")
PICK = st.integers(0, 30)
PLAIN = TaskSpec(role="w")
SPECS = st.just(PLAIN) | st.builds(
    TaskSpec,
    role=st.sampled_from((*ROLES, None)),
    skills=st.sampled_from(((), (("a", 2),), (("a", 5),))),
    priority=st.integers(0, 1),
    timeout=st.sampled_from((None, None, 1.0)),
    expires_in=st.sampled_from((None, None, 2.0)),
    retry=st.just(RetryNumbers(max_attempts=2)),
)


class Host:
    """What a worker was sent and has not answered for, in order, and which of it waits for other tasks."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.row: list[tuple[str, int]] = []
        self.parked: set[tuple[str, int]] = set()
        self.silent: set[tuple[str, int]] = set()
        """Earlier attempts of tasks of which it had a later one as well: of those it says nothing any more."""
        self.number = 0

    def running(self) -> list[tuple[str, int]]:
        """What has begun."""
        return self.row[: self.slots + len(self.parked)]

    def speaks_of(self, row: tuple[str, int]) -> bool:
        """Whether it has no later attempt of the same task, and had none."""
        return row not in self.silent and [each for each in self.row if each[0] == row[0]][-1] == row

    def named(self) -> list[tuple[str, int]]:
        """What it says that it has."""
        return [row for row in self.row if self.speaks_of(row)]

    def remove(self, row: tuple[str, int]) -> bool:
        """It has an attempt no more; whether it says so."""
        spoken = self.speaks_of(row)
        self.row.remove(row)
        if spoken:
            self.silent |= {each for each in self.row if each[0] == row[0]}
        return spoken


class CoreMachine(RuleBasedStateMachine):
    """Tasks come in any order, workers come and go, and nothing may be lost, doubled or left behind."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 10.0
        self.dispatcher = Dispatcher(max_worker_deaths=2)
        self.watch = Invariants(World(0), self.dispatcher)
        self.hosts: dict[str, Host] = {}
        self.accepted: set[str] = set()
        self.told: list[str] = []
        self.joined = 0

    # -- what the core wants ----------------------------------------------------------------------

    def flush(self) -> None:
        while commands := self.dispatcher.flush(self.now):
            for command in commands:
                if isinstance(command, Assign):
                    for worker_id, entries in command.by_worker.items():
                        self.watch.assigned(worker_id, entries)
                        self.hosts[worker_id].row += [(entry.task_id, entry.fence) for entry in entries]
                elif isinstance(command, Deliver):
                    self.watch.delivered(command)
                    self.told += [entry.task_id for entry in command.entries]
                elif isinstance(command, Recall):
                    self.hand_back(command.worker_id, set(command.ids))
                elif isinstance(command, Halt):
                    self.halt(command.worker_id, command.ids)
        self.watch.check()

    def hand_back(self, name: str, ids: set[str]) -> None:
        host = self.hosts[name]
        begun = host.running()
        back = [row for row in host.row if row not in begun and row[0] in ids]
        for row in back:
            host.remove(row)
        self.dispatcher.hand_back(name, [task_id for task_id, _ in back], [fence for _, fence in back], self.now)

    def halt(self, name: str, ids: list[str]) -> None:
        for row in [row for row in self.hosts[name].row if row[0] in ids]:
            if row not in self.hosts[name].parked:
                self.answer(name, row, Ending.CANCELLED, None)

    def answer(self, name: str, row: tuple[str, int], ending: int, again: float | None) -> None:
        host = self.hosts[name]
        if not host.remove(row):
            return
        host.number += 1
        report = Report(
            epoch="e",
            number=host.number,
            ids=[row[0]],
            fences=[row[1]],
            endings=[ending],
            micros=[500],
            again={} if again is None else {0: again},
        )
        assert self.dispatcher.report(name, report, [b"out"], self.now)

    # -- what may happen --------------------------------------------------------------------------

    @initialize(slots=st.integers(1, 3), burst=st.integers(0, 8))
    def begin(self, slots: int, burst: int) -> None:
        """Begin with a worker that was sent something ahead."""
        self.join("w", 5, slots)
        for number in range(burst):
            self.submit(f"burst-{number}", [], PLAIN, None, None)
        self.end(0, Ending.COMPLETED, None)

    @rule(role=st.sampled_from(ROLES), level=st.sampled_from((3, 5)), slots=st.integers(1, 3))
    def join(self, role: str, level: int, slots: int) -> None:
        if len(self.hosts) >= 4:
            return
        self.joined += 1
        name = f"w{self.joined}"
        self.hosts[name] = Host(slots)
        self.dispatcher.join(WorkerInfo(name, name, role, {"a": level}, slots), self.now)
        self.flush()

    @rule(
        name=TASKS,
        needs=st.lists(TASKS, max_size=3),
        spec=SPECS,
        key=st.sampled_from((None, None, None, "k")),
        fallback=st.one_of(st.none(), st.none(), st.just(b"value"), st.tuples(SPECS, st.lists(TASKS, max_size=1))),
        sent=st.sampled_from((False, False, False, True)),
    )
    def submit(
        self,
        name: str,
        needs: list[str],
        spec: TaskSpec,
        key: str | None,
        fallback: bytes | tuple[TaskSpec, list[str]] | None,
        sent: bool = False,
    ) -> None:
        stand_in: bytes | Submission | None
        if isinstance(fallback, tuple):
            stand_in = Submission(f"f-{name}", "fallback", fallback[0], b"", tuple(fallback[1]))
        else:
            stand_in = fallback
        submission = Submission(name, name, spec, b"in", tuple(needs), idempotency_key=key, fallback=stand_in)
        submission.dependencies_sent = sent
        refused: list[tuple[Submission, CallboardError]] = self.dispatcher.submit("client", [submission], self.now)
        if refused:
            assert isinstance(refused[0][1], DuplicateTask if name in self.accepted else DependencyCycle)
        else:
            assert name not in self.accepted
            self.accepted.add(name)
        self.flush()

    def _pick(self, pick: int) -> tuple[str, tuple[str, int]] | None:
        rows = [(name, row) for name, host in self.hosts.items() for row in host.running() if row not in host.parked]
        return rows[pick % len(rows)] if rows else None

    @rule(pick=PICK, ending=st.sampled_from((0, 0, 0, 1, 3)), again=st.sampled_from((None, 0.0, 1.0)))
    def end(self, pick: int, ending: int, again: float | None) -> None:
        found = self._pick(pick)
        if found is not None:
            self.answer(*found, ending, again if ending == Ending.FAILED else None)
            self.flush()

    @rule(pick=PICK)
    def park(self, pick: int) -> None:
        found = self._pick(pick)
        if found is not None:
            name, row = found
            self.hosts[name].parked.add(row)
            self.tell_parked(name, row, True)
            self.flush()

    def tell_parked(self, name: str, row: tuple[str, int], parked: bool) -> None:
        if self.hosts[name].speaks_of(row):
            self.dispatcher.park(name, row[0], parked, self.now, row[1])

    @rule(pick=PICK)
    def go_on(self, pick: int) -> None:
        rows = [(name, row) for name, host in self.hosts.items() for row in sorted(host.parked)]
        if rows:
            name, row = rows[pick % len(rows)]
            self._go_on(name, row)
            self.flush()

    def _go_on(self, name: str, row: tuple[str, int]) -> None:
        host = self.hosts[name]
        host.parked.remove(row)
        self.tell_parked(name, row, False)
        self.answer(name, row, Ending.COMPLETED, None)

    @precondition(lambda self: self.hosts)
    @rule(pick=PICK, certain=st.booleans(), returns=st.booleans())
    def lose(self, pick: int, certain: bool, returns: bool) -> None:
        name = list(self.hosts)[pick % len(self.hosts)]
        host = self.hosts.pop(name)
        info = self.dispatcher.roster.workers[name].info
        noted = [row for row in host.running() if row not in host.parked or not certain]
        innocent = {task_id: self.dispatcher.entry(task_id).rare.deaths for task_id, _ in host.row if task_id not in dict(noted)}
        self.dispatcher.lost(name, self.now, "was lost", [task_id for task_id, _ in noted] if certain else None)
        assert all(self.dispatcher.entry(task_id).rare.deaths == deaths for task_id, deaths in innocent.items())
        self.flush()
        if returns and not certain:
            # It was merely out of reach: it has all it had, and the attempts of others go on taking its slots.
            self.hosts[name] = host
            drop = self.dispatcher.join(info, self.now, 0.0, host.named())
            self.halt(name, drop)
            for row in sorted(host.parked & set(host.row)):
                self.tell_parked(name, row, True)
            self.flush()

    @precondition(lambda self: self.hosts)
    @rule(pick=PICK, kept=PICK)
    def reconnect(self, pick: int, kept: int) -> None:
        name = list(self.hosts)[pick % len(self.hosts)]
        host = self.hosts[name]
        host.row = host.row[: max(kept, len(host.running()))]
        dropped = self.dispatcher.join(self.dispatcher.roster.workers[name].info, self.now, 0.0, host.named())
        foreign = self.dispatcher.roster.workers[name].foreign
        assert all(task_id in foreign for task_id in dropped)
        for row in sorted(host.parked):
            self.tell_parked(name, row, True)
        self.flush()

    @precondition(lambda self: self.accepted)
    @rule(pick=PICK, force=st.booleans())
    def cancel(self, pick: int, force: bool) -> None:
        name = sorted(self.accepted)[pick % len(self.accepted)]
        self.dispatcher.cancel([name], force, self.now)
        self.flush()

    @rule(seconds=st.sampled_from((0.001, 0.01, 1.0, 3.0)))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.flush()

    # -- what must hold -----------------------------------------------------------------------------

    @invariant()
    def one_outcome_each(self) -> None:
        assert len(self.told) == len(set(self.told))
        assert set(self.told) <= self.accepted

    def teardown(self) -> None:
        """Let everything end: then everything that was accepted has its outcome, and nothing lingers."""
        for role in ROLES:
            self.joined += 1
            name = f"w{self.joined}"
            self.hosts[name] = Host(8)
            self.dispatcher.join(WorkerInfo(name, name, role, {"a": 9}, 8), self.now)
        self.dispatcher.close(self.now)
        self.flush()
        for _ in range(2000):
            if self.dispatcher.drained and not any(host.row for host in self.hosts.values()):
                break
            for name, host in self.hosts.items():
                for row in sorted(host.parked & set(host.row)):
                    self._go_on(name, row)
                for row in host.running():
                    self.answer(name, row, Ending.COMPLETED, None)
            self.now += 0.5
            self.flush()
        self.watch.check_end()
        assert set(self.told) == self.accepted


@pytest.mark.timeout(1800)
def test_no_play_breaks_the_core(full: bool, figure: Callable[[str, object], None]) -> None:
    plays = 2000 if full else 150
    run_state_machine_as_test(CoreMachine, settings=settings(max_examples=plays, stateful_step_count=50, deadline=None))
    figure("plays of the state machine", f"{plays:,} of up to 50 steps each")
