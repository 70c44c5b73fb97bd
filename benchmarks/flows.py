"""Time per atom of flows of no-op tasks, by kind, size and store; beside TaskFlow where that is installed.

``python -m benchmarks.flows [--quick]``. Compiling is part of it, making the flow is not. Each figure is the best of some
rounds, in processor time of this process, since others may use the machine; wall-clock time stands beside it.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from callboard.engines import SyncExecutor
from callboard.flows import Flow, GraphFlow, LinearFlow, Task, UnorderedFlow

SIZES = (1_000, 4_000, 16_000)
STORES = ("none", "memory", "sqlite")
KINDS: tuple[type[Flow], ...] = (LinearFlow, UnorderedFlow, GraphFlow)
PATTERNS = {"LinearFlow": "linear_flow", "UnorderedFlow": "unordered_flow", "GraphFlow": "graph_flow"}
THEIR_LIMIT = 1_000
"""TaskFlow's time grows with the square of the size: more atoms than this take minutes."""


class NoOp(Task):
    def execute(self) -> None: ...


class Chained(Task):
    def execute(self, before: None) -> None: ...


class Figure(NamedTuple):
    """Microseconds per atom."""

    processor: float
    wall: float


def make(kind: type[Flow], size: int) -> Flow:
    """Atoms that do nothing; in a graph each needs what the one before provides."""
    flow = kind("no-ops").add(NoOp("n0", provides="v0"))
    for number in range(1, size):
        if kind is GraphFlow:
            flow.add(Chained(f"n{number}", rebind={"before": f"v{number - 1}"}, provides=f"v{number}"))
        else:
            flow.add(NoOp(f"n{number}", provides=f"v{number}"))
    return flow


def ours(kind: type[Flow], size: int, store: str, folder: Path) -> Figure:
    """One run by the SyncExecutor."""
    flow = make(kind, size)
    path = folder / f"{kind.__name__}-{size}.db"
    path.unlink(missing_ok=True)
    state = {"none": None, "memory": "memory:", "sqlite": f"sqlite:///{path}"}[store]
    executor = SyncExecutor(state=state)
    return timed(lambda: executor.execute(flow).unwrap(), size)


def theirs(kind: type[Flow], size: int, store: str, folder: Path) -> Figure:
    """One run by TaskFlow's serial engine."""
    from taskflow import engines, task
    from taskflow.persistence import backends

    pattern = importlib.import_module(f"taskflow.patterns.{PATTERNS[kind.__name__]}")

    class Nothing(task.Task):  # type: ignore[misc]
        def execute(self) -> None: ...

    class After(task.Task):  # type: ignore[misc]
        def execute(self, before: None) -> None: ...

    flow: Any = pattern.Flow("no-ops").add(Nothing("n0", provides="v0"))
    for number in range(1, size):
        if kind is GraphFlow:
            flow.add(After(f"n{number}", rebind={"before": f"v{number - 1}"}, provides=f"v{number}"))
        else:
            flow.add(Nothing(f"n{number}", provides=f"v{number}"))
    backend = None
    if store == "sqlite":
        backend = backends.fetch({"connection": f"sqlite:///{folder}/taskflow-{kind.__name__}.db"})
        backend.get_connection().upgrade()
    return timed(lambda: engines.run(flow, backend=backend), size)


def timed(work: Callable[[], object], size: int) -> Figure:
    """How long it took, for each atom."""
    gc.collect()
    processor, wall = time.process_time(), time.perf_counter()
    work()
    return Figure((time.process_time() - processor) / size * 1e6, (time.perf_counter() - wall) / size * 1e6)


def best(measure: Callable[[type[Flow], int, str, Path], Figure], kind: type[Flow], size: int, store: str, rounds: int) -> Figure:
    """The best of some rounds, each by its own measure."""
    with tempfile.TemporaryDirectory() as folder:
        figures = [measure(kind, size, store, Path(folder)) for _ in range(rounds)]
    return Figure(min(figure.processor for figure in figures), min(figure.wall for figure in figures))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser("python -m benchmarks.flows", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the smallest size alone, once")
    quick = parser.parse_args().quick
    peer = importlib.util.find_spec("taskflow") is not None
    # Its SQL backend needs more packages: pip install 'taskflow[database]'.
    theirs_keeps = ("memory", "sqlite") if peer and importlib.util.find_spec("alembic") else ("memory",) if peer else ()
    print(f"Python {sys.version.split()[0]}; microseconds per atom, processor time (wall-clock time)")
    print(f"{'flow':<16}{'store':<8}{'atoms':>7}{'callboard':>20}" + (f"{'TaskFlow':>24}" if peer else ""))
    for kind in KINDS:
        for store in STORES:
            for size in SIZES[:1] if quick else SIZES:
                figure = best(ours, kind, size, store, 1 if quick else 3)
                line = f"{kind.__name__:<16}{store:<8}{size:>7}{figure.processor:>10.1f} ({figure.wall:.1f})"
                if store in theirs_keeps and size <= THEIR_LIMIT:
                    figure = best(theirs, kind, size, store, 1)
                    line = f"{line:<51}{figure.processor:>12.0f} ({figure.wall:.0f})"
                print(line, flush=True)


if __name__ == "__main__":
    main()
