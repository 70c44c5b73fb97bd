"""Replays a seed and tells what happens: ``python -m tests.simulation SEED [FAULTS]``."""

from __future__ import annotations

import sys

from tests.simulation.world import FAULTS, World


def main(arguments: list[str]) -> int:
    if not 1 <= len(arguments) <= 2 or not all(argument.isdecimal() for argument in arguments):
        print("usage: python -m tests.simulation SEED [FAULTS]", file=sys.stderr)
        return 2
    world = World(*map(int, arguments)) if len(arguments) == 2 else World(int(arguments[0]), FAULTS)
    world.trace = []
    try:
        world.run()
    finally:
        print("\n".join(world.trace))
    print(f"seed {world.seed}: all invariants held")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
