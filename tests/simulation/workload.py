"""What clients ask for, and what the code of their tasks does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callboard.messages.spec import BreakerNumbers, RetryNumbers, TaskSpec
from callboard.messages.task import Submission
from callboard.messages.wire import Ending

if TYPE_CHECKING:
    from tests.simulation.worker import Attempt, Worker
    from tests.simulation.world import World

KINDS = ({"a": 3}, {"a": 6}, {"a": 9, "b": 1}, {"b": 5})
"""The skills of workers, all of role w."""
SPECS = (
    TaskSpec(role="w"),
    TaskSpec(role="w", priority=5),
    TaskSpec(role="w", skills=(("a", 2),)),
    TaskSpec(role="w", skills=(("a", 5),)),
    TaskSpec(role="w", skills=(("a", 8),)),
    TaskSpec(role=None, skills=(("b", 1),)),
    TaskSpec(role="w", timeout=0.5),
    TaskSpec(role="w", timeout=0.3, retry=RetryNumbers(max_attempts=3, initial_delay_seconds=0.2)),
    TaskSpec(role="w", breaker_key="k", breaker=BreakerNumbers(failure_threshold=2, recovery_seconds=1.0)),
    TaskSpec(role="w", expires_in=0.7, skills=(("b", 5),)),
    TaskSpec(role="nobody", expires_in=1.0),
    TaskSpec(role="nobody"),
)
WEIGHTS = (12, 3, 3, 3, 2, 2, 3, 3, 3, 2, 1, 1)
CHILD = TaskSpec(role="w")


class Workload:
    """Makes submissions and decides how attempts go."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._quick = world.random.choice((0.0005, 0.05, 0.5, 2.0))
        self._names: list[str] = []

    def submit(self) -> None:
        """A client submits some tasks, in any order."""
        random = self._world.random
        client = random.choice(self._world.clients)
        made = [self._submission() for _ in range(random.choice((1, 1, 2, 4, 10)))]
        random.shuffle(made)
        self._world.note(client.identity, "submits", [(one.task_id, one.dependencies) for one in made])
        client.submit(made)

    def _submission(self) -> Submission:
        random = self._world.random
        task_id = f"t{self._world.number()}"
        known = self._names[-12:]
        self._names.append(task_id)
        dependencies = tuple(random.sample(known, min(len(known), random.randint(1, 3)))) if random.random() < 0.3 else ()
        if random.random() < 0.03:
            dependencies += (f"t{self._world.number() + random.randint(0, 3)}",)  # perhaps never submitted
        chance = random.random()
        fallback: bytes | Submission | None = None
        if chance < 0.05:
            fallback = b"instead"
        elif chance < 0.12:
            needed = (random.choice(known),) if known and random.random() < 0.3 else ()
            fallback = Submission(f"f{task_id}", "fallback", CHILD, b"", needed)
        key = random.choice("xyz") if random.random() < 0.1 else None
        spec = random.choices(SPECS, WEIGHTS)[0]
        return Submission(task_id, task_id, spec, b"", dependencies, idempotency_key=key, fallback=fallback)

    def cancel(self) -> None:
        """A client cancels some of the latest tasks, its own or not."""
        random = self._world.random
        if self._names:
            client = random.choice(self._world.clients)
            ids = random.sample(self._names[-20:], min(len(self._names), random.randint(1, 3)))
            force = random.random() < 0.4
            self._world.note(client.identity, "cancels", ids, force)
            client.cancel(ids, force)

    def behave(self, worker: Worker, attempt: Attempt) -> None:
        """What the code of a task does once it has begun."""
        random = self._world.random
        seconds = random.expovariate(1.0 / self._quick)
        chance = random.random() if not self._world.calm else 0.5
        attempt.stubborn = chance > 0.9
        timeout = attempt.spec.timeout
        if chance < 0.015:
            worker.later(seconds, self._world.kill, worker, False)
            return
        if chance < 0.03 and timeout is not None:
            seconds = 20.0  # does not stop, and tells nobody that it overran
            timeout = None
        if timeout is not None and seconds > timeout:
            worker.later(timeout, worker.overrun, attempt)
        elif chance < 0.1:
            worker.later(seconds, worker.end, attempt, Ending.FAILED, random.choice((None, 0.0, 0.3)))
        elif chance < 0.14:
            self._wait_for_children(worker, attempt)
        else:
            worker.later(seconds, worker.end, attempt, Ending.COMPLETED)

    def _wait_for_children(self, worker: Worker, attempt: Attempt) -> None:
        count = self._world.random.randint(1, 3)
        children = [Submission(f"c{self._world.number()}", "child", CHILD, b"") for _ in range(count)]
        worker.submit(children)
        worker.wait_for(attempt, {child.task_id for child in children})
