"""What a workload can ask of a peer. One file a peer in `benchmarks.peers`; a new one overrides little."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from benchmarks.work import echo, length, noop, rest, square


class Unsupported(Exception):
    """The peer has no such thing."""


class Peer:
    """Something that runs tasks in other processes. `submit` and `result` are enough; the rest may be overridden by
    what a person would write for the peer."""

    package: ClassVar[str | None] = None
    """The distribution that has to be installed; None for what Python brings."""
    share: ClassVar[int] = 1
    """One in so many of the no-ops is enough to measure it by; the slow ones would take minutes for all."""

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot be measured here, None when it can."""
        if cls.package is not None and cls.version() is None:
            return f"{cls.package} is not installed"
        return None

    @classmethod
    def version(cls) -> str | None:
        """The installed version."""
        from importlib.metadata import PackageNotFoundError, version  # late, as all that a sitting does without

        try:
            return version(cls.package) if cls.package is not None else None
        except PackageNotFoundError:
            return None

    def start(self, workers: int) -> None:
        """Start so many worker processes."""
        raise NotImplementedError

    def stop(self) -> None:
        """End them."""
        raise NotImplementedError

    def submit(self, function: Any, *args: Any) -> Any:
        """Have ``function(*args)`` run; returns a ticket for `result`."""
        raise NotImplementedError

    def result(self, ticket: Any) -> Any:
        """Wait for a result."""
        raise NotImplementedError

    # -- what workloads ask for -------------------------------------------------------------------

    def many(self, count: int) -> None:
        """Run no-ops, and ask for each result."""
        for ticket in [self.submit(noop) for _ in range(count)]:
            self.result(ticket)

    def trip(self) -> None:
        """Run one no-op and wait for it."""
        self.result(self.submit(noop))

    def fan(self, count: int) -> int:
        """Fan out, and fold the results into a sum."""
        return sum(self.result(ticket) for ticket in [self.submit(square, number) for number in range(count)])

    def chain(self, count: int) -> int:
        """Submit a chain at once, in which each task takes the result of the one before; returns the last result."""
        raise Unsupported

    def echo(self, value: bytes) -> int:
        """Send a value there and back; returns its length."""
        return len(self.result(self.submit(echo, value)))

    def pass_each_time(self, value: bytes, count: int) -> None:
        """Run tasks that all use one value, passing it to each."""
        for _ in range(count):
            self.result(self.submit(length, value))

    def pass_once(self, value: bytes, count: int) -> None:
        """The same by whatever the peer has for that."""
        raise Unsupported

    def rests(self, lengths: Iterable[float]) -> None:
        """Run tasks of these lengths (seconds) and wait for all."""
        for ticket in [self.submit(rest, seconds) for seconds in lengths]:
            self.result(ticket)
