"""One peer, one workload, one process: ``python -m benchmarks.sitting PEER WORKLOAD COUNT`` prints the figure as JSON.

Each measurement has a process of its own, so that no peer's threads, memory or event loop is in another's way.
"""

from __future__ import annotations

import json
import os
import sys
import time

from benchmarks.peer import Peer, Unsupported
from benchmarks.peers import peer_class

WORKERS = 2
BEGUN = "BENCHMARK_BEGUN"
"""The environment's variable with the time (since the epoch) at which this script was started."""


def main(name: str, workload: str, count: int) -> None:
    """Measure, and print."""
    peer = peer_class(name)()
    peer.start(WORKERS)
    try:
        figure, notes = started(peer) if workload == "start" else _measure(peer, workload, count)
    except Unsupported:
        figure, notes = None, {}
    finally:
        peer.stop()
    print("\n" + json.dumps({"figure": figure, "notes": notes}), flush=True)


def started(peer: Peer) -> tuple[float, dict[str, float]]:
    """Seconds from the start of this script to its first result; nothing but the peer was imported until then."""
    peer.trip()
    return time.time() - float(os.environ[BEGUN]), {}


def _measure(peer: Peer, workload: str, count: int) -> tuple[float | None, dict[str, float]]:
    from benchmarks import measure

    measured: measure.Measured = getattr(measure, workload)(peer, count)
    return measured.figure, measured.notes


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
