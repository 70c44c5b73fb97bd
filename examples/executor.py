"""The standard library's executor interface: whatever takes an executor can use a playground's workers.

Here `map` and `as_completed`, asyncio's `run_in_executor`, and Dask's `compute`, where Dask is installed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor, as_completed
from typing import Any

from callboard import Playground


def collatz(start: int) -> int:
    """How many steps a number takes to reach 1."""
    steps = 0
    while start != 1:
        start = start // 2 if start % 2 == 0 else 3 * start + 1
        steps += 1
    return steps


def futures(executor: Executor) -> None:
    print("map:", list(executor.map(collatz, [6, 7, 27])))
    longest = max(future.result() for future in as_completed([executor.submit(collatz, start) for start in range(1, 100)]))
    print("as_completed: the longest below 100 takes", longest)
    print("another process:", executor.submit(os.getpid).result() != os.getpid())
    error = executor.submit(collatz, "six").exception()  # type: ignore[arg-type]
    print("exception:", repr(error))


async def coroutine(executor: Executor) -> None:
    loop = asyncio.get_running_loop()
    steps = await asyncio.gather(*(loop.run_in_executor(executor, collatz, start) for start in (97, 871)))
    print("run_in_executor:", steps)


def dask(executor: Executor) -> None:
    try:
        from dask import compute, delayed
    except ImportError:
        print("dask is not installed")
        return
    lazily: Callable[[int], Any] = delayed(collatz)
    total = delayed(sum)([lazily(start) for start in (6, 7, 27)])
    print("dask:", *compute(total, scheduler=executor))


def main() -> None:
    with Playground().play(workers=2) as stage:
        futures(stage.executor)
        asyncio.run(coroutine(stage.executor))
        dask(stage.executor)


if __name__ == "__main__":
    main()
