"""What is measured, with whom, and what must be reached."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.peers import BUILT_IN, OTHERS

POOL, PROCESSES, RAW = "multiprocessing.Pool", "ProcessPoolExecutor", "raw pyzmq"
OURS = "callboard"


class Floor(NamedTuple):
    """What a figure or a note of ours must be: at least or at most ``bound``, as a ratio to ``peer`` where one is named."""

    text: str
    bound: float
    at_least: bool
    peer: str | None = None
    note: str | None = None

    def met(self, value: float) -> bool:
        """Whether a value is on the right side."""
        return value >= self.bound if self.at_least else value <= self.bound


class Workload(NamedTuple):
    """``measure`` names a function of `benchmarks.measure`. Ratios are how much better ours is, so that more is better.

    ``rows`` is how many (tasks, values, seconds) it is run with, ``quick`` in a trial of the runner itself, ``whole`` with --whole.
    """

    key: str
    title: str
    unit: str
    more_is_better: bool
    measure: str
    rows: int
    quick: int
    whole: int
    rounds: int
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    others: tuple[str, ...]
    floors: tuple[Floor, ...]


def at_least(bound: float, peer: str | None = None, note: str | None = None) -> Floor:
    """A floor."""
    return Floor(_text("at least", bound, peer, note), bound, True, peer, note)


def at_most(bound: float, note: str | None = None) -> Floor:
    """A ceiling."""
    return Floor(_text("at most", bound, None, note), bound, False, None, note)


def _text(word: str, bound: float, peer: str | None, note: str | None) -> str:
    return f"{note or ('ratio' if peer else 'figure')} {word} {bound:g}" + (f" beside {peer}" if peer else "")


WORKLOADS = (
    Workload(
        "A", "no-op tasks, every result asked for", "tasks/s", True, "many", 50_000, 500, 100_000, 3,
        (OURS, "callboard submit"), BUILT_IN, OTHERS, (at_least(4.0, PROCESSES), at_least(1.1, POOL)),
    ),
    Workload(
        "A2", "the same by asyncio.gather and by executor.map", "tasks/s", True, "many", 50_000, 500, 100_000, 3,
        ("callboard gather", "callboard map"), (OURS, PROCESSES, POOL), (),
        (at_least(1.0, OURS), at_least(4.0, PROCESSES), at_least(1.1, POOL)),
    ),
    Workload(
        "B", "one task at a time, median round trip", "us", False, "trips", 2000, 100, 2000, 5,
        (OURS,), BUILT_IN, OTHERS, (at_least(1 / 1.3, PROCESSES), at_most(4.0, "p99 / median")),
    ),
    Workload(
        "C", "fan out 1,000 and fold them in an aggregator", "ms", False, "fan", 1000, 50, 1000, 3,
        (OURS,), BUILT_IN, OTHERS, (at_least(3.0, PROCESSES),),
    ),
    Workload(
        "D", "a chain of 1,000 dependent tasks, submitted at once", "us/hop", False, "chain", 1000, 20, 1000, 3,
        (OURS,), (RAW,), ("Dask", "Ray", "TaskFlow"), (at_most(1.5, "hop / round trip"),),
    ),
    Workload(
        "E", "echo of 1 MiB", "MB/s", True, "echo_many", 200, 5, 200, 3,
        (OURS,), BUILT_IN, OTHERS, (at_least(1.0, PROCESSES),),
    ),
    Workload(
        "E1", "echo of one value of 256 MiB", "MB/s", True, "echo_large", 256, 8, 256, 3,
        (OURS,), (PROCESSES,), ("Dask", "Ray"), (at_least(1.0, PROCESSES), at_most(4.0, "peak memory / value")),
    ),
    Workload(
        "E2", "one value of 100 MB used by 1,000 tasks: passed once, against each time", "x", True, "shared", 1000, 20, 1000, 1,
        (OURS,), (), ("Dask", "Ray"), (at_least(50.0),),
    ),
    Workload(
        "F", "start of the script to its first result", "s", False, "start", 1, 1, 1, 3,
        (OURS,), BUILT_IN, OTHERS, (at_most(0.6), at_least(2.0, "Dask")),
    ),
    Workload(
        "G", "idle", "% of a core", False, "idle", 10, 1, 30, 1,
        (OURS,), (PROCESSES,), OTHERS, (at_most(0.5), at_most(100.0, "PSS, MB")),
    ),
    Workload(
        "H", "2,000 tasks of 1 ms with 20 of 500 ms among them, as a multiple of the least possible time", "x", False, "mixed",
        2000, 20, 2000, 1, (OURS,), (PROCESSES,), OTHERS, (at_most(1.1),),
    ),
    Workload(
        "I", "sustained: the last tenth's speed as a share of the first's", "x", True, "sustained", 100_000, 100, 1_000_000, 1,
        (OURS,), (), (), (at_least(0.9),),
    ),
)  # fmt: skip
