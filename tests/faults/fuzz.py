"""A target for atheris, which is not needed otherwise: ``python -m tests.faults.fuzz [-runs=100000]``."""

from __future__ import annotations

import logging
import sys

from callboard.messages.codec import decode
from callboard.messages.errors import WireError
from tests.faults.mutation import CLIENT, WORKER, Target, corpus

SEPARATOR = b"\n--frame--\n"


def main() -> None:
    """Feed what atheris makes to `decode`, and to a manager that knows a worker and a client."""
    import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

    logging.disable()
    target = Target()
    for who, frames in corpus()[:3]:
        target.feed(who, frames)

    def one(data: bytes) -> None:
        frames = data[1:].split(SEPARATOR)
        try:
            decode(frames)
        except WireError:
            pass
        target.feed(WORKER if data[:1] < b"\x80" else CLIENT, frames)

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
