"""Medians, ratios pair by pair, and the page that they are written to."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers import HOMES, peer_class
from benchmarks.workload import Floor, Workload

RESULTS = Path(__file__).parent / "RESULTS.md"


class Row(NamedTuple):
    """What one peer reached in the rounds of a workload; None where it has no such thing, or failed."""

    peer: str
    figures: list[float | None]
    notes: list[dict[str, float]]

    @property
    def median(self) -> float | None:
        """Of the rounds that gave a figure."""
        known = [figure for figure in self.figures if figure is not None]
        return statistics.median(known) if known else None

    def note(self, name: str) -> float | None:
        """The median of a note."""
        known = [notes[name] for notes in self.notes if name in notes]
        return statistics.median(known) if known else None


def ratios(workload: Workload, ours: Row, theirs: Row) -> list[float]:
    """How much better ours is, round by round."""
    pairs = [(a, b) for a, b in zip(ours.figures, theirs.figures, strict=False) if a and b]
    return [a / b if workload.more_is_better else b / a for a, b in pairs]


def section(workload: Workload, rows: list[Row]) -> list[str]:
    """The page's lines about one workload."""
    ours = [row for row in rows if row.peer in workload.ours]
    lines = [f"## {workload.key}. {workload.title} ({workload.unit})", ""]
    lines += ["| | median | rounds | " + " | ".join(f"{row.peer} is better by" for row in ours) + " |"]
    lines += ["|---|---|---|" + "---|" * len(ours)]
    for row in rows:
        cells = [_pairs(ratios(workload, mine, row)) if row.peer not in workload.ours else "" for mine in ours]
        lines.append(f"| {row.peer} | {_figure(row.median)} | {', '.join(map(_figure, row.figures))} | {' | '.join(cells)} |")
    for row in rows:
        notes = {name: row.note(name) for name in (row.notes[0] if row.notes else {})}
        if notes:
            lines.append(f"\n{row.peer}: " + ", ".join(f"{name} {_figure(value)}" for name, value in notes.items()))
    lines += ["", *(f"- {verdict}" for mine in ours for verdict in _verdicts(workload, mine, rows)), ""]
    return lines


def _verdicts(workload: Workload, ours: Row, rows: list[Row]) -> Iterable[str]:
    for floor in workload.floors:
        value = _value(workload, floor, ours, rows)
        if value is not None:
            yield f"{ours.peer}: {floor.text}: {_figure(value)}, {'reached' if floor.met(value) else 'NOT REACHED'}"


def _value(workload: Workload, floor: Floor, ours: Row, rows: list[Row]) -> float | None:
    if floor.note is not None:
        return ours.note(floor.note)
    if floor.peer is None:
        return ours.median
    found = [statistics.median(pairs) for row in rows if row.peer == floor.peer and (pairs := ratios(workload, ours, row))]
    return found[0] if found else None


def _pairs(pairs: list[float]) -> str:
    if not pairs:
        return ""
    return f"**{statistics.median(pairs):.2f}** ({', '.join(f'{pair:.2f}' for pair in pairs)})"


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def heading() -> list[str]:
    """Where and with what it was measured."""
    versions = {name: kind.version() for name in HOMES if (kind := peer_class(name)).package is not None}
    installed = sorted({f"{peer_class(name).package} {version}" for name, version in versions.items() if version is not None})
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return [
        "# Results",
        "",
        "Written by `python -m benchmarks`; see `docs/performance.md` for what the figures mean. Each figure is of a process of its own;",
        "the rounds of the peers are interleaved, and a ratio compares figures of one round. Figures of other machines differ.",
        "",
        f"- {datetime.date.today().isoformat()}, Python {platform.python_version()}, {platform.system()} {platform.release()}",
        f"- {os.cpu_count()} cores, {_processor()}; load before: {load}",
        f"- {', '.join(installed)}",
        "",
    ]


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
