"""Ours, as a person would use it; the ways to submit differ by subclass."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

from benchmarks.peer import Peer
from benchmarks.work import following, length, noop, rest


class Executor(Peer):
    """Through ``stage.executor``."""

    package = "callboard"

    def start(self, workers: int) -> None:
        from callboard import Playground

        self._block: AbstractContextManager[Playground] = Playground().play(workers=workers)
        self.stage = self._block.__enter__()
        self.executor = self.stage.executor

    def stop(self) -> None:
        self._block.__exit__(None, None, None)

    def submit(self, function: Any, *args: Any) -> Any:
        return self.executor.submit(function, *args)

    def result(self, ticket: Any) -> Any:
        return ticket.result()

    def fan(self, count: int) -> int:
        from benchmarks.fold import Sum
        from benchmarks.work import square

        return int(self.stage.fan_out(square, range(count), join=Sum()).result().unwrap())

    def chain(self, count: int) -> int:
        from callboard import task

        link = task(following)
        last = link.task(0)
        tasks = [last]
        for _ in range(count - 1):
            last = link.task(last)
            tasks.append(last)
        handles = [self.stage.submit(each) for each in tasks]
        return int(handles[-1].result().unwrap())

    def pass_once(self, value: bytes, count: int) -> None:
        shared: Any = self.stage.put(value)
        for ticket in [self.executor.submit(length, shared, number) for number in range(count)]:
            ticket.result()


class Submit(Executor):
    """Through ``stage.submit``."""

    def many(self, count: int) -> None:
        from callboard import task

        make = task(noop).task
        for handle in [self.stage.submit(make()) for _ in range(count)]:
            handle.result()


class Gather(Executor):
    """Through ``await asyncio.gather`` of ``add_and_execute_task``."""

    def many(self, count: int) -> None:
        import asyncio

        from callboard import task

        make = task(noop).task

        async def run() -> None:
            await asyncio.gather(*[self.stage.add_and_execute_task(make()) for _ in range(count)])

        asyncio.run(run())


class Map(Executor):
    """Through ``stage.executor.map``."""

    def many(self, count: int) -> None:
        for _ in self.executor.map(noop, range(count)):
            pass

    def rests(self, lengths: Iterable[float]) -> None:
        list(self.executor.map(rest, lengths))
