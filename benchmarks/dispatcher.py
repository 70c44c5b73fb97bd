"""How the cost of a task in the dispatcher grows with what waits, who works, what is asked for, and what depends on what.

No sockets and no processes: the pure core alone, fed as the manager feeds it, in processor time with the garbage
collector at work; of several windows the best counts, since others may use the machine. What is compared is the same
work: tasks come and go up to 500 at a time, and each answer is a message of its own, however many workers there are.
``python -m benchmarks.dispatcher`` prints a table and draws it (``--quick`` with tiny sizes, to try the benchmark itself).
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.chart import Line, draw
from callboard.actors.dispatch.command import Assign
from callboard.actors.dispatch.dispatcher import Dispatcher
from callboard.actors.dispatch.record import WorkerInfo
from callboard.messages.spec import TaskSpec
from callboard.messages.task import Submission
from callboard.messages.wire import Report

CHART = Path(__file__).parent.parent / "docs" / "dispatcher.svg"
BATCH = 500
WINDOW = 10_000
WINDOWS = 3
TURNS = 4
PROFILES = 16
SHORT, LONG = 5, 50_000
"""Run times that workers tell (microseconds): of short tasks many are sent ahead, of long ones none."""


class Crew:
    """A dispatcher and workers that answer in turn, each time for one task of so many microseconds."""

    def __init__(self, workers: int, profiles: int = 1, micros: int = SHORT) -> None:
        self.dispatcher = Dispatcher()
        self.now = 0.0
        self._micros = micros
        self._names = [f"w{number}" for number in range(workers)]
        self._held: dict[str, list[tuple[str, int]]] = {name: [] for name in self._names}
        self._turn = 0
        self._made = 0
        for number, name in enumerate(self._names):
            # Of the first profile everybody is, the others have more and more of one skill.
            skills = {"a": 2 * (number % profiles) + 1, "b": 31} if profiles > 1 else {"a": 31, "b": 31}
            self.dispatcher.join(WorkerInfo(name, name, "w", skills), self.now)

    def submissions(self, count: int, specs: Sequence[TaskSpec]) -> list[Submission]:
        """Tasks that depend on nothing, of these specs in turn."""
        self._made += count
        return [Submission(f"t{n}", "task", specs[n % len(specs)], b"") for n in range(self._made - count, self._made)]

    def submit(self, submissions: Sequence[Submission]) -> None:
        """Submit without a step."""
        refused = self.dispatcher.submit("client", submissions, self.now, fresh=True)
        assert not refused

    def step(self) -> float:
        """Let the dispatcher decide, and hand out what it assigns; returns how long the decision took (seconds)."""
        begun = time.process_time()
        commands = self.dispatcher.flush(self.now)
        spent = time.process_time() - begun
        for command in commands:
            if type(command) is Assign:
                for worker_id, entries in command.by_worker.items():
                    self._held[worker_id] += [(entry.task_id, entry.fence) for entry in entries]
        return spent

    def reports(self, count: int) -> list[tuple[str, Report]]:
        """The next answers, as they would come off the wire."""
        made: list[tuple[str, Report]] = []
        idle = 0
        while len(made) < count and idle < len(self._names):
            name = self._names[self._turn % len(self._names)]
            self._turn += 1
            if not self._held[name]:
                idle += 1
                continue
            idle = 0
            task_id, fence = self._held[name].pop(0)
            made.append((name, Report(epoch="e", number=1, ids=[task_id], fences=[fence], endings=[0], micros=[self._micros])))
        return made

    def answer(self, reports: Sequence[tuple[str, Report]]) -> None:
        """Hear these answers."""
        self.now += 0.001
        for name, report in reports:
            self.dispatcher.report(name, report, [b""], self.now)


Window = Callable[[int], float]
"""Measures so many tasks; returns microseconds a task."""


def steady(crew: Crew, specs: Sequence[TaskSpec]) -> Window:
    """As many tasks come as end, while as many go on waiting."""

    def window(tasks: int) -> float:
        spent = 0.0
        left = tasks
        while left > 0:
            reports = crew.reports(min(left, BATCH))
            submissions = crew.submissions(len(reports), specs)
            left -= len(reports)
            begun = time.process_time()
            crew.answer(reports)
            crew.submit(submissions)
            spent += time.process_time() - begun + crew.step()
        return spent / tasks * 1e6

    return window


def waiting(size: int) -> Window:
    """So many tasks wait for two workers."""
    crew = Crew(2)
    specs = [TaskSpec(role="w")]
    for _ in range(max(1, size // BATCH)):
        crew.submit(crew.submissions(min(size, BATCH), specs))
    crew.step()
    return steady(crew, specs)


def workers(size: int, micros: int = LONG) -> Window:
    """So many workers of up to 16 profiles, each of which gets one task when it has ended one."""
    crew = Crew(size, min(size, PROFILES), micros)
    specs = [TaskSpec(role="w", skills=(("a", 1),))]
    crew.submit(crew.submissions(max(2 * size, 2 * BATCH), specs))
    crew.step()
    return steady(crew, specs)


def quick_workers(size: int) -> Window:
    """The same with short tasks, of which a worker gets as many at once as there are for it: the fewer workers, the fewer
    messages to them."""
    return workers(size, SHORT)


def requirements(size: int) -> Window:
    """So many different needs, for a hundred workers of 16 profiles, with 10,000 tasks waiting."""
    crew = Crew(100, PROFILES)
    specs = [TaskSpec(role="w", skills=(("a", number % 32), ("b", number // 32))) for number in range(size)]
    crew.submit(crew.submissions(10_000, specs))
    crew.step()
    return steady(crew, specs)


def graph(size: int) -> Window:
    """A random graph of so many tasks, each of which needs three others on average, until all have ended."""
    return _graph(size, scrambled=False)


def scrambled(size: int) -> Window:
    """The same, submitted in any order."""
    return _graph(size, scrambled=True)


def bare(size: int) -> Window:
    """The same graph sorted by the least code there is, to tell what the processor's caches add as it grows."""

    def window(tasks: int) -> float:
        needs = _random_graph(size, random.Random(1))
        rounds = max(1, tasks // size)
        return sum(_sort(needs) for _ in range(rounds)) / rounds

    return window


class _Node:
    __slots__ = ("dependents", "waits")

    def __init__(self) -> None:
        self.waits = 0
        self.dependents: list[_Node] = []


def _sort(graph: Sequence[tuple[str, tuple[str, ...]]]) -> float:
    begun = time.process_time()
    nodes: dict[str, _Node] = {}
    ready: deque[_Node] = deque()
    for task_id, needs in graph:
        node = nodes[task_id] = _Node()
        for needed in needs:
            nodes[needed].dependents.append(node)
            node.waits += 1
        if not needs:
            ready.append(node)
    while ready:
        for node in ready.popleft().dependents:
            node.waits -= 1
            if not node.waits:
                ready.append(node)
    return (time.process_time() - begun) / len(graph) * 1e6


def _graph(size: int, scrambled: bool) -> Window:
    def window(tasks: int) -> float:
        needs = _random_graph(size, random.Random(1))
        if scrambled:
            random.Random(1).shuffle(needs)
        rounds = max(1, tasks // size)
        return sum(_run_graph(Crew(2), needs) for _ in range(rounds)) / rounds

    return window


def _run_graph(crew: Crew, graph: Sequence[tuple[str, tuple[str, ...]]]) -> float:
    spent = 0.0
    spec = TaskSpec(role="w")
    for start in range(0, len(graph), BATCH):
        submissions = [Submission(task_id, "task", spec, b"", needs) for task_id, needs in graph[start : start + BATCH]]
        begun = time.process_time()
        crew.submit(submissions)
        spent += time.process_time() - begun + crew.step()
    while reports := crew.reports(BATCH):
        begun = time.process_time()
        crew.answer(reports)
        spent += time.process_time() - begun + crew.step()
    assert crew.dispatcher.drained
    return spent / len(graph) * 1e6


def _random_graph(size: int, chance: random.Random) -> list[tuple[str, tuple[str, ...]]]:
    needs: list[set[int]] = [set() for _ in range(size)]
    for _ in range(3 * size):
        low, high = sorted((chance.randrange(size), chance.randrange(size)))
        if low != high:
            needs[high].add(low)
    return [(f"t{number}", tuple(f"t{low}" for low in lows)) for number, lows in enumerate(needs)]


class Scale(NamedTuple):
    """What grows, and by what steps."""

    name: str
    prepare: Callable[[int], Window]
    sizes: tuple[int, ...]


SCALES = (
    Scale("tasks that wait", waiting, (1_000, 10_000, 100_000, 1_000_000)),
    Scale("workers, long tasks", workers, (2, 10, 100, 1_000, 10_000)),
    Scale("workers, short tasks", quick_workers, (2, 10, 100, 1_000, 10_000)),
    Scale("different needs", requirements, (1, 10, 100, 1_000)),
    Scale("tasks in a graph, in order", graph, (1_000, 10_000, 100_000)),
    Scale("tasks in a graph, in any order", scrambled, (1_000, 10_000, 100_000)),
    Scale("the graph alone, bare", bare, (1_000, 10_000, 100_000)),
)


def measured(scale: Scale, sizes: Sequence[int], tasks: int) -> list[tuple[int, float]]:
    """The best window of each size. The sizes take turns, so that a slow minute of the machine hits all of them, and each is
    alone in memory, so that the collector does not walk what another has left waiting."""
    best = dict.fromkeys(sizes, float("inf"))
    for _ in range(TURNS):
        for size in sizes:
            window = scale.prepare(size)
            best[size] = min(best[size], *(window(tasks) for _ in range(WINDOWS)))
            del window
            gc.collect()
    return list(best.items())


def told(line: Line) -> list[str]:
    """A line of the chart as rows of a table."""
    rows = [f"{line.name:<32}{size:>10,}{cost:>9.2f} us a task" for size, cost in line.points]
    growth = max(cost for _, cost in line.points) / line.points[0][1]
    return [*rows, f"{line.name:<32}{'dearest':>10}{growth:>9.2f} times the first", ""]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser("python -m benchmarks.dispatcher", description="How the dispatcher's cost per task grows.")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the benchmark itself")
    parser.add_argument("--only", help="measure the scales whose name contains this")
    parser.add_argument("--output", type=Path, default=CHART, help="where to draw the chart (default: %(default)s)")
    options = parser.parse_args(arguments)
    lines = []
    for scale in SCALES:
        if not options.only or options.only in scale.name:
            sizes = scale.sizes[:2] if options.quick else scale.sizes
            lines.append(Line(scale.name, measured(scale, sizes, BATCH if options.quick else WINDOW)))
            print("\n".join(told(lines[-1])), flush=True)
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(draw("What a task costs in the dispatcher", "microseconds a task", "how many", lines))
    print(f"drawn in {options.output}")


if __name__ == "__main__":
    main()
