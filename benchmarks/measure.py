"""One measurement of one workload with one started peer: a figure, and what else is worth telling."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.peer import Peer
from benchmarks.usage import Usage

MEBIBYTE = 1024 * 1024
WARM_UP = 500
SHORT, LONG, LONG_EVERY = 0.001, 0.5, 100
"""Seconds of the tasks of mixed lengths; one in so many is long."""
WINDOW = 10_000
"""How many tasks are open at once in the sustained run."""


class Measured(NamedTuple):
    """``figure`` is in the workload's unit."""

    figure: float
    notes: dict[str, float]


def many(peer: Peer, count: int) -> Measured:
    """Tasks a second."""
    count = max(100, count // peer.share)
    peer.many(min(WARM_UP, count))
    seconds = _timed(lambda: peer.many(count))
    return Measured(count / seconds, {})


def trips(peer: Peer, count: int) -> Measured:
    """The median of round trips, in microseconds."""
    count = max(50, count // peer.share)
    times = _trip_times(peer, count)
    return Measured(times[count // 2], {"p99 / median": times[int(count * 0.99)] / times[count // 2]})


def fan(peer: Peer, count: int) -> Measured:
    """Milliseconds."""
    peer.fan(min(WARM_UP, count))
    wanted = sum(number * number for number in range(count))
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        if peer.fan(count) != wanted:
            raise AssertionError("the sum is wrong")
        times.append((time.perf_counter() - begun) * 1e3)
    return Measured(statistics.median(times), {})


def chain(peer: Peer, count: int) -> Measured:
    """Microseconds a hop."""
    peer.chain(20)
    trip = _trip_times(peer, 500)[250]
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        if peer.chain(count) != count:
            raise AssertionError("the chain lost a link")
        times.append((time.perf_counter() - begun) / count * 1e6)
    hop = statistics.median(times)
    return Measured(hop, {"hop / round trip": hop / trip})


def echo_many(peer: Peer, count: int) -> Measured:
    """MB/s of values of 1 MiB."""
    value = random.Random(1).randbytes(MEBIBYTE)
    for _ in range(5):
        peer.echo(value)
    seconds = _timed(lambda: [peer.echo(value) for _ in range(count)])
    return Measured(count * len(value) / seconds / 1e6, {})


def echo_large(peer: Peer, mebibytes: int) -> Measured:
    """MB/s of one large value; the peak of each process's memory is told as a multiple of it."""
    peer.echo(bytes(MEBIBYTE))
    value = random.Random(1).randbytes(MEBIBYTE) * mebibytes
    before = Usage.now()
    seconds = _timed(lambda: peer.echo(value))
    return Measured(
        len(value) / seconds / 1e6, {"peak memory / value": Usage.now().largest_growth(before, os.getpid(), len(value)) / len(value)}
    )


def shared(peer: Peer, count: int) -> Measured:
    """How many times faster tasks with one value of 100 MB are when it is passed once than when it is passed each time."""
    value = bytes(100_000_000)
    few = max(2, count // 200)
    each = _timed(lambda: peer.pass_each_time(value, few)) / few
    once = _timed(lambda: peer.pass_once(value, count)) / count
    return Measured(each / once, {"ms a task, once": once * 1e3, "ms a task, each time": each * 1e3})


def idle(peer: Peer, seconds: int) -> Measured:
    """Percent of one core while nothing is to be done; and the memory that all processes share out among them."""
    peer.many(100)
    time.sleep(2.0)
    before = Usage.now()
    time.sleep(seconds)
    after = Usage.now()
    return Measured((after.cpu_seconds - before.cpu_seconds) / seconds * 100.0, {"PSS, MB": after.proportional_bytes() / 1e6})


def mixed(peer: Peer, count: int) -> Measured:
    """The time of mixed lengths, as a multiple of the least possible."""
    lengths = [SHORT] * count + [LONG] * (count // LONG_EVERY)
    random.Random(7).shuffle(lengths)
    peer.rests([SHORT] * 200)
    seconds = _timed(lambda: peer.rests(lengths))
    return Measured(seconds / (sum(lengths) / 2), {"seconds": seconds})


def sustained(peer: Peer, count: int) -> Measured:
    """How fast the last tenth of many tasks is, as a share of the first."""
    rates: list[float] = []
    grown: list[float] = []
    peer.many(WARM_UP)
    window = min(WINDOW, count // 10)
    for _ in range(10):
        rates.append(statistics.median(window / _timed(lambda: peer.many(window)) for _ in range(count // 10 // window)))
        grown.append(Usage.now().resident_bytes / 1e6)
    return Measured(rates[-1] / rates[0], {"tasks/s": statistics.median(rates), "MB at a tenth": grown[0], "MB at the end": grown[-1]})


def _trip_times(peer: Peer, count: int) -> list[float]:
    for _ in range(min(100, count)):
        peer.trip()
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        peer.trip()
        times.append((time.perf_counter() - begun) * 1e6)
    return sorted(times)


def _timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun
