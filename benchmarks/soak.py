"""Many tasks with a kill every second: every result right, memory and descriptors flat.

``python -m benchmarks.soak [TASKS]``; ends with exit code 1 when something was wrong.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

from callboard import Playground, ProcessRequest, ProcessWorker, Task, TaskHandle

TASKS = 200_000
IN_FLIGHT = 4000
KILL_EVERY = 1.0
WORKERS = 4
SAMPLES = 40
SETTLED = 0.5
"""The share of the tasks after which all that is kept within bounds has filled them, and growth is counted."""
ALLOWED_MB = 1.0
"""Growth of resident memory for each 100,000 tasks."""


class Square(ProcessWorker):
    """Takes about a quarter of a millisecond."""

    def process(self, request: ProcessRequest) -> int:
        """The square of ``data``."""
        until = time.perf_counter() + 0.000_25
        while time.perf_counter() < until:
            pass
        return int(request.data) ** 2


class Sample(NamedTuple):
    """What this process held after so many tasks."""

    tasks: int
    resident: int
    descriptors: int
    threads: int

    @classmethod
    def take(cls, tasks: int) -> Sample:
        """Look now."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        descriptors = len(os.listdir("/proc/self/fd"))
        return cls(tasks, pages * os.sysconf("SC_PAGE_SIZE"), descriptors, threading.active_count())


class Killer(threading.Thread):
    """Kills one of the workers that are there, every so often."""

    def __init__(self, stage: Playground) -> None:
        super().__init__(daemon=True)
        self.kills = 0
        self._stage = stage
        self._ended = threading.Event()

    def run(self) -> None:
        """Until `end`."""
        chance = random.Random(1)
        while not self._ended.wait(KILL_EVERY):
            workers = self._stage.workers
            if workers:
                os.kill(chance.choice(workers).pid, signal.SIGKILL)
                self.kills += 1

    def end(self) -> None:
        """Kill no more."""
        self._ended.set()
        self.join()


def soak(tasks: int) -> tuple[list[Sample], int, int]:
    """Run it; returns the samples, how many results were wrong, and how many kills there were."""
    samples: list[Sample] = []
    wrong = 0
    open_handles: deque[tuple[int, TaskHandle]] = deque()
    crew = [Square(f"square-{number}") for number in range(WORKERS)]
    # A task that is killed three times by chance is no fault of its own here.
    with Playground("soak", max_worker_deaths=1000).play(workers=crew) as stage:
        killer = Killer(stage)
        killer.start()
        for number in range(tasks):
            open_handles.append((number, stage.submit(Task("square", "worker", {"data": number}))))
            if len(open_handles) >= IN_FLIGHT:
                wrong += _settle(open_handles)
            if number % max(1, tasks // SAMPLES) == 0:
                samples.append(Sample.take(number))
        while open_handles:
            wrong += _settle(open_handles)
        killer.end()
        samples.append(Sample.take(tasks))
    return samples, wrong, killer.kills


def _settle(open_handles: deque[tuple[int, TaskHandle]]) -> int:
    number, handle = open_handles.popleft()
    result = handle.result(60)
    return int(not (result.success and result.output == number**2))


def growth(samples: list[Sample]) -> float:
    """Megabytes of resident memory for each 100,000 tasks: the slope through the samples of the later part."""
    last = samples[-1].tasks
    late = [sample for sample in samples if sample.tasks >= last * SETTLED]
    mean_x = sum(sample.tasks for sample in late) / len(late)
    mean_y = sum(sample.resident for sample in late) / len(late)
    above = sum((sample.tasks - mean_x) * (sample.resident - mean_y) for sample in late)
    below = sum((sample.tasks - mean_x) ** 2 for sample in late)
    return above / below * 100_000 / 1e6


def main() -> int:
    """Run and tell; the exit code."""
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else TASKS
    begun = time.monotonic()
    samples, wrong, kills = soak(tasks)
    seconds = time.monotonic() - begun
    settled = next(sample for sample in samples if sample.tasks >= tasks * SETTLED)
    grown = growth(samples)
    print(f"tasks               {tasks:,} in {seconds:.1f} s ({tasks / seconds:,.0f}/s), {kills} kills")
    print(f"wrong results       {wrong}")
    print(f"resident memory     {samples[0].resident / 1e6:.1f} MB at first, {samples[-1].resident / 1e6:.1f} MB at the end")
    print(f"growth              {grown:.2f} MB for each 100,000 tasks")
    print(f"descriptors         {settled.descriptors} half-way, {samples[-1].descriptors} at the end")
    print(f"threads             {settled.threads} half-way, {samples[-1].threads} at the end")
    flat = grown < ALLOWED_MB and samples[-1].descriptors <= settled.descriptors + 2
    return 0 if flat and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
