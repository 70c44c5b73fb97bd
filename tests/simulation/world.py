"""One run: who is there, what they do, and what goes wrong, all by one seed."""

from __future__ import annotations

import itertools
from random import Random
from typing import Any, Protocol

from callboard.actors.dispatch.dispatcher import Dispatcher
from callboard.actors.dispatch.record import WorkerInfo
from callboard.messages.task import Submission
from callboard.messages.wire import Report
from tests.simulation.client import Client
from tests.simulation.clock import Clock
from tests.simulation.invariant import demand
from tests.simulation.link import Link
from tests.simulation.manager import Manager
from tests.simulation.worker import Worker
from tests.simulation.workload import KINDS, Workload

FAULTS = 200
PATIENCE = 400.0
"""Virtual seconds within which all must have ended once nothing goes wrong any more."""


class Actor(Protocol):
    """Who speaks with the manager."""

    identity: str
    link: Link
    local: bool

    def hear(self, kind: str, *body: Any) -> None: ...


class World:
    """A manager, workers and clients."""

    DOWN = 0.4
    """Seconds until a manager is followed by the next."""

    def __init__(self, seed: int, faults: int = FAULTS) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.clock = Clock()
        self.delay = self.random.choice((0.0, 0.002, 0.05))
        self.workload = Workload(self)
        self.calm = False
        self.trace: list[str] | None = None
        self.workers: dict[str, Worker] = {}
        self.clients: list[Client] = []
        self._faults = faults
        self._nonces = itertools.count(1)
        self._numbers = itertools.count(1)
        self._down = False
        self._epoch = 0
        self.manager = Manager(self, 0)
        self._actions = (
            (self.workload.submit, 34),
            (self.workload.cancel, 20),
            (self._die, 14),
            (self._stall, 10),
            (self._cut, 16),
            (self._cut_client, 5),
            (self._leave, 4),
            (self._arrive, 4),
            (self._restart, 1 if seed % 4 == 0 else 0),
        )

    def nonce(self) -> int:
        """A number that was never given."""
        return next(self._nonces)

    def number(self) -> int:
        """The next number for a name."""
        return next(self._numbers)

    def note(self, *words: object) -> None:
        """Write down what happens, if anybody wants to read it."""
        if self.trace is not None:
            self.trace.append(f"{self.clock.now:10.4f} " + " ".join(map(str, words)))

    def hear(self, actor: Actor, kind: str, *body: Any) -> None:
        """Something reaches the port of the manager."""
        if not self._down:
            if self.trace is not None:
                self.note(actor.identity, kind, *map(_short, body))
            self.manager.hear(actor, kind, *body)

    # -- the run ------------------------------------------------------------------------------

    def run(self) -> Dispatcher:
        """Let it all happen; raises `Violated` when something does not hold."""
        for number in range(self.random.randint(1, 2)):
            client = Client(self, f"client-{number}")
            self.clients.append(client)
            self._connect(client)
        for _ in range(self.random.randint(1, 5)):
            self._arrive()
        actions, weights = zip(*self._actions, strict=True)
        pause = self.random.choice((0.01, 0.1, 0.4))
        for action in self.random.choices(actions, weights, k=self._faults):
            self._pass(self.random.expovariate(1.0 / pause))
            action()
        self._settle()
        self.manager.invariants.check_end()
        return self.manager.dispatcher

    def _pass(self, seconds: float) -> None:
        until = self.clock.now + seconds
        self.clock.after(seconds, _nothing)
        while self.clock.now < until:
            self.clock.step()

    def _settle(self) -> None:
        """Nothing goes wrong any more, and enough workers are there: then everything ends."""
        self.calm = True
        self.note("calm")
        for kind in KINDS:
            self._add_worker(dict(kind), local=True)
        until = self.clock.now + PATIENCE
        closed = False
        while not self._over():
            demand(self.clock.now < until, f"open after {PATIENCE} s: {[sorted(client.open)[:5] for client in self.clients]}")
            self._pass(5.0)
            if not closed and self.clock.now > until - PATIENCE + 60.0:
                closed = True
                self.note("close")
                self.manager.dispatcher.close(self.clock.now)
                self.manager.step()
        for client in self.clients:
            for task_id in client.outcomes:
                demand(task_id not in client.open, f"{task_id} has an outcome and is open")

    def _over(self) -> bool:
        known = [self.workers[name] for name in self.manager.dispatcher.roster.workers]
        quiet = not any(worker.stalled or worker.running_ids() for worker in known)
        return self.manager.dispatcher.drained and quiet and not any(client.open for client in self.clients)

    # -- workers ------------------------------------------------------------------------------

    def _alive(self) -> list[Worker]:
        return [worker for worker in self.workers.values() if worker.alive]

    def _arrive(self) -> None:
        if len(self._alive()) < 7:
            self._add_worker(dict(self.random.choice(KINDS)), self.random.random() < 0.5)

    def _add_worker(self, skills: dict[str, int], local: bool) -> None:
        name = f"worker-{self.number()}"
        slots = self.random.choice((1, 1, 1, 2, 3))
        info = WorkerInfo(name, name, "w", skills, slots, token=f"{name}.1" if local else None)
        self.note("arrives", name, skills, slots, "local" if local else "remote")
        worker = self.workers[name] = Worker(self, info, local)
        if local:
            self.manager.expect(name, info)
        self._connect(worker)

    def _connect(self, actor: Worker | Client) -> None:
        """The link comes up, if there is somebody at both ends."""
        if isinstance(actor, Worker) and not actor.alive:
            return
        if self._down:
            self.clock.after(0.2, self._connect, actor)
        elif not actor.link.up:
            actor.link.restore()
            actor.connected()

    def _die(self, worker: Worker | None = None, ordered: bool = False) -> None:
        alive = [one for one in self._alive() if not one.stalled]
        if worker is None and alive:
            worker = self.random.choice(alive)
        if worker is None or not worker.alive:
            return
        running = worker.noted_ids()
        worker.alive = False
        self.note("dies", worker.identity, running)
        if self.random.random() < 0.5:
            worker.link.cut()
        if worker.local:
            # The supervisor says first that another is coming, then how this one ended.
            self._replace(worker)
            self.clock.after(self.random.random() * 0.003, self._bury, worker, running, ordered)
        else:
            self.clock.after(self.random.choice((0.003, 2.0)), self._bury, worker, None)
            if self.random.random() < 0.7:
                self._replace(worker)

    def _replace(self, worker: Worker) -> None:
        if self.calm or len(self._alive()) < 7:
            skills = dict(worker.info.skills)
            self.clock.after(0.05, self._add_worker, skills, worker.local)
            if worker.local:
                self.manager.expect(f"again-{worker.identity}", worker.info)
                self.clock.after(0.05, self._forget_seat, f"again-{worker.identity}")

    def _forget_seat(self, seat: str) -> None:
        self.manager.dispatcher.roster.expected.pop(seat, None)

    def _bury(self, worker: Worker, running: list[str] | None, ordered: bool = False) -> None:
        worker.link.cut()
        self.manager.lost(worker.identity, "was killed by signal 9", running, ordered)

    def kill(self, worker: Worker, ordered: bool = True) -> None:
        """A worker is ended: by the supervisor, or (not ``ordered``) by a task of its own."""
        if worker.alive:
            self._die(worker, ordered)

    def ended(self, worker: Worker) -> None:
        """A worker has ended in order."""
        worker.alive = False
        self.note("ends", worker.identity)
        if worker.local:
            self.clock.after(0.003, self._bury, worker, [])
        else:
            self.clock.after(2.0, self._bury, worker, None)
        if self.calm or self.random.random() < 0.7:
            self.clock.after(0.1, self._add_worker, dict(worker.info.skills), worker.local)

    # -- what goes wrong ----------------------------------------------------------------------

    def _stall(self) -> None:
        able = [worker for worker in self._alive() if not worker.stalled]
        if able:
            worker = self.random.choice(able)
            seconds = self.random.choice((0.05, 1.0, 4.0))
            self.note("stalls", worker.identity, seconds)
            worker.stall()
            if seconds > 2.0:
                self.clock.after(2.0, self._unheard, worker)
            self.clock.after(seconds, self._go_on, worker)

    def _unheard(self, worker: Worker) -> None:
        if worker.alive and worker.stalled:
            worker.link.cut()
            self.manager.lost(worker.identity, "cannot be reached any more")

    def _go_on(self, worker: Worker) -> None:
        if worker.alive:
            self.note("goes on", worker.identity)
            worker.go_on()
            self._connect(worker)

    def _cut(self, actor: Worker | Client | None = None) -> None:
        able: list[Worker | Client] = [worker for worker in self._alive() if worker.link.up]
        if actor is None and able:
            actor = self.random.choice(able)
        if actor is None:
            return
        if self.random.random() < 0.5:
            self._cut_now(actor)
        else:
            one = actor
            actor.link.snap = lambda: self._cut_now(one)

    def _cut_now(self, actor: Worker | Client) -> None:
        seconds = self.random.choice((0.001, 0.05, 0.5, 5.0))
        self.note("cut off", actor.identity, seconds)
        actor.link.cut()
        if seconds > 2.0:
            self.clock.after(2.0, self._unreachable, actor)
        self.clock.after(seconds, self._connect, actor)

    def _unreachable(self, actor: Worker | Client) -> None:
        if not actor.link.up:
            self.manager.lost(actor.identity, "cannot be reached any more")

    def _cut_client(self) -> None:
        able = [client for client in self.clients if client.link.up]
        if able:
            self._cut(self.random.choice(able))

    def _leave(self) -> None:
        able = [worker for worker in self._alive() if not worker.stalled]
        if able:
            worker = self.random.choice(able)
            self.note("leaves", worker.identity)
            worker.leave()

    def _restart(self) -> None:
        self.note("the manager dies")
        self._down = True
        self._epoch += 1
        for actor in [*self._alive(), *self.clients]:
            actor.link.cut()
            self.clock.after(0.5 + self.random.random(), self._connect, actor)
        self.manager = Manager(self, self._epoch)
        self.clock.after(self.DOWN, self._up)

    def _up(self) -> None:
        self._down = False


def _nothing() -> None:
    """Time passes."""


def _short(value: object) -> str:
    if isinstance(value, list) and value and isinstance(value[0], Submission):
        return str([one.task_id for one in value])
    if isinstance(value, Report):
        return f"#{value.number} {list(zip(value.ids, value.fences, value.endings, strict=True))}"
    return str(value)


def simulate(seed: int, faults: int = FAULTS) -> World:
    """Run one schedule; what fails says by which seed."""
    world = World(seed, faults)
    try:
        world.run()
    except Exception as error:
        error.add_note(f"replay it with: python -m tests.simulation {seed} {faults}")
        raise
    return world
