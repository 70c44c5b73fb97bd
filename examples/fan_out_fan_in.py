"""One list of numbers becomes as many tasks as it is long, in child processes, and one sum at the end."""

from __future__ import annotations

from callboard import FanOutFanInPattern, ParallelExecutor, task
from callboard.flows import LinearFlow


@task
def count_primes(limits: tuple[int, int]) -> int:
    return sum(all(number % divisor for divisor in range(2, int(number**0.5) + 1)) for number in range(max(limits[0], 2), limits[1]))


@task(provides="ranges")
def split(upto: int) -> list[tuple[int, int]]:
    return [(low, low + upto // 8) for low in range(0, upto, upto // 8)]


flow = LinearFlow("primes").add(split, FanOutFanInPattern(count_primes, "ranges", join=sum, name="count", provides="primes"))
result = ParallelExecutor(max_workers=2, processes=True).execute(flow, initial_inputs={"upto": 8000})
print(result.status, "with", len(result.states), "atoms:", result.outputs["primes"], "primes below 8000")
