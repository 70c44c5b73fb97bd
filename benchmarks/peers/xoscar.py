"""xoscar: calls of actors in two processes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from benchmarks.peer import Peer, Unsupported
from benchmarks.work import echo, noop, rest, square


class Xoscar(Peer):
    """One actor a process, called in turn."""

    package = "xoscar"
    share = 5

    def start(self, workers: int) -> None:
        import xoscar

        self._loop = asyncio.new_event_loop()
        self._xoscar = xoscar

        async def begin() -> None:
            from benchmarks.peers.xoscar_actor import Runner

            self._pool = await xoscar.create_actor_pool("127.0.0.1:0", n_process=workers)
            addresses = list(self._pool.sub_processes)[:workers]
            self._actors = [
                await xoscar.create_actor(Runner, uid=f"runner-{row}", address=address) for row, address in enumerate(addresses)
            ]

        self._loop.run_until_complete(begin())

    def stop(self) -> None:
        self._loop.run_until_complete(self._pool.stop())
        self._loop.close()

    def submit(self, function: Any, *args: Any) -> Any:
        raise Unsupported

    def many(self, count: int) -> None:
        self._all(noop, [() for _ in range(count)])

    def trip(self) -> None:
        self._all(noop, [()])

    def fan(self, count: int) -> int:
        return sum(self._all(square, [(number,) for number in range(count)]))

    def echo(self, value: bytes) -> int:
        return len(self._all(echo, [(value,)])[0])

    def rests(self, lengths: Iterable[float]) -> None:
        self._all(rest, [(seconds,) for seconds in lengths])

    def _all(self, function: Any, calls: list[tuple[Any, ...]]) -> list[Any]:
        async def run() -> list[Any]:
            actors = self._actors
            return await asyncio.gather(*[actors[row % len(actors)].run(function, *args) for row, args in enumerate(calls)])

        return self._loop.run_until_complete(run())
