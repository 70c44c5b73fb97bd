"""The runner: ours and others in interleaved rounds."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers import peer_class
from benchmarks.report import RESULTS, Row, heading, section
from benchmarks.sitting import BEGUN
from benchmarks.workload import WORKLOADS, Workload

PATIENCE = 300.0
"""Seconds after which a sitting is given up."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for, print it, and write it down."""
    options = _parser().parse_args(arguments)
    wanted = {key.upper() for key in options.workload} or {workload.key for workload in WORKLOADS}
    lines = heading()
    print("\n".join(lines), flush=True)
    for workload in WORKLOADS:
        if workload.key in wanted:
            told = section(workload, _rows(workload, options))
            print("\n".join(told), flush=True)
            lines += told
    options.output.write_text("\n".join(lines).rstrip() + "\n")
    print(f"written to {options.output}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description="Measure callboard beside others, in one sitting.")
    parser.add_argument("workload", nargs="*", help="which of " + ", ".join(workload.key for workload in WORKLOADS) + "; all when left out")
    parser.add_argument("--peers", action="store_true", help="beside other projects as well, those that are installed")
    parser.add_argument("--quick", action="store_true", help="one round of tiny counts, to try the runner itself")
    parser.add_argument("--whole", action="store_true", help="full counts where the usual ones are smaller to save time")
    parser.add_argument("--rounds", type=int, help="how many rounds, for all workloads")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where to write the results (default: %(default)s)")
    return parser


def _rows(workload: Workload, options: argparse.Namespace) -> list[Row]:
    names = [*workload.ours, *workload.theirs, *(workload.others if options.peers else ())]
    present = [name for name in names if _present(name)]
    rows = [Row(name, [], []) for name in present]
    for _ in range(1 if options.quick else options.rounds or workload.rounds):
        for row in rows:
            figure, notes = _sit(
                row.peer, workload, workload.quick if options.quick else workload.whole if options.whole else workload.rows
            )
            row.figures.append(figure)
            row.notes.append(notes)
    return rows


def _present(name: str) -> bool:
    reason = peer_class(name).missing()
    if reason is not None:
        print(f"without {name}: {reason}", flush=True)
    return reason is None


def _sit(name: str, workload: Workload, count: int) -> tuple[float | None, dict[str, float]]:
    environment = {**os.environ, BEGUN: repr(time.time())}
    command = [sys.executable, "-m", "benchmarks.sitting", name, workload.measure, str(count)]
    try:
        ended = subprocess.run(command, env=environment, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        print(f"{name} did not finish {workload.key} within {PATIENCE:g} s", flush=True)
        return None, {}
    if ended.returncode != 0:
        print(f"{name} failed at {workload.key}", flush=True)
        return None, {}
    told = json.loads(ended.stdout.splitlines()[-1])
    return told["figure"], told["notes"]


if __name__ == "__main__":
    main()
