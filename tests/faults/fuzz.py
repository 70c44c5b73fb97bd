"""A target for atheris, which is not needed otherwise: ``python -m tests.faults.fuzz [-max_total_time=60]``."""

from __future__ import annotations

import logging
import random
import sys
import tempfile
from pathlib import Path

SEPARATOR = b"\n--frame--\n"
FRESH_EVERY = 100
"""Messages after which all is begun anew, since peers are struck off and tasks end."""


def main() -> None:
    """Feed what atheris makes of valid messages to a manager that knows a worker and a client."""
    import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

    with atheris.instrument_imports(include=["callboard.actors", "callboard.messages"]):
        from tests.faults.mutation import CLIENT, WORKER, Target, corpus, mutated

    logging.disable()
    valid = corpus()
    targets: list[Target] = []
    fed = 0

    def one(data: bytes) -> None:
        nonlocal fed
        if fed % FRESH_EVERY == 0:
            for target in targets:
                target.close()
            targets[:] = [Target()]
            for who, good in valid[:5]:
                targets[0].feed(who, good)
        fed += 1
        targets[0].feed(WORKER if data[:1] < b"\x80" else CLIENT, data[1:].split(SEPARATOR))

    def mutator(data: bytes, size: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(data, size))
        frames = mutated(data[1:].split(SEPARATOR), chance)
        return (data[:1] + SEPARATOR.join(frames))[:size]

    with tempfile.TemporaryDirectory() as seeds:
        for number, (who, frames) in enumerate(valid):
            sender = b"\x00" if who == WORKER else b"\xff"
            (Path(seeds) / str(number)).write_bytes(sender + SEPARATOR.join(frames))
        atheris.Setup([*sys.argv, "-max_len=100000", seeds], one, custom_mutator=mutator)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
