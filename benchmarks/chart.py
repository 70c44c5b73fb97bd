"""A line chart as SVG, of costs over sizes that grow by powers of ten."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 860, 460
LEFT, RIGHT, TOP, BOTTOM = 50, 260, 70, 60
COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#b8860b", "#16a2b8", "#777777")


class Line(NamedTuple):
    """One thing that grows: (size, cost) in order of size."""

    name: str
    points: Sequence[tuple[int, float]]


def draw(title: str, cost: str, size: str, lines: Sequence[Line]) -> str:
    """The chart; sizes on a logarithmic axis, costs from zero. ``cost`` and ``size`` say what the axes count."""
    low = min(size for line in lines for size, _ in line.points)
    high = max(size for line in lines for size, _ in line.points)
    decades = range(int(math.log10(low)), math.ceil(math.log10(max(high, low * 10))) + 1)
    top = _round_up(max(y for line in lines for _, y in line.points))
    frame = _Frame(decades[0], decades[-1], top)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="28" font-size="16">{escape(title)}</text>',
        f'<text x="{LEFT}" y="{TOP - 18}" fill="#555555">{escape(cost)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" fill="#555555" text-anchor="middle">{escape(size)}</text>',
        *_grid(frame, decades),
    ]
    for index, line in enumerate(lines):
        parts += _line(frame, line, COLOURS[index % len(COLOURS)], index)
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Frame(NamedTuple):
    first: int
    last: int
    top: float

    def x(self, size: float) -> float:
        return LEFT + (math.log10(size) - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)

    def y(self, cost: float) -> float:
        return HEIGHT - BOTTOM - cost / self.top * (HEIGHT - TOP - BOTTOM)


def _round_up(value: float) -> float:
    """The next number of which a fifth is round."""
    step = 10.0 ** math.floor(math.log10(value))
    return next(factor * step for factor in (1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10) if value <= factor * step)


def _grid(frame: _Frame, decades: range) -> list[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for part in range(6):
        cost = round(frame.top * part / 5, 6)
        y = frame.y(cost)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#dddddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{cost:g}</text>')
    for decade in decades:
        x = frame.x(10**decade)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#eeeeee"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{10**decade:,}</text>')
    return parts


def _line(frame: _Frame, line: Line, colour: str, index: int) -> list[str]:
    places = [(frame.x(size), frame.y(cost)) for size, cost in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    label = TOP + 14 + index * 20
    start = WIDTH - RIGHT + 16
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places),
        f'<line x1="{start}" y1="{label - 4}" x2="{start + 18}" y2="{label - 4}" stroke="{colour}" stroke-width="2"/>',
        f'<text x="{start + 24}" y="{label}">{escape(line.name)}</text>',
    ]
