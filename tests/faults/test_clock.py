"""The wall clock leaps an hour forward and back; the monotonic one, by which everything is timed, does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import Start
from tests.faults.crew import await_lines

Figure = Callable[[str, object], None]

# libfaketime (0.9.10) refuses the absolute monotonic deadlines by which Python sleeps; select takes relative ones.
SLEEP = """
import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""
LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed")
def test_timers_do_not_follow_the_wall_clock(tmp_path: Path, start: Start, figure: Figure) -> None:
    clock, path = tmp_path / "clock", tmp_path / "took"
    clock.write_text("+0\n")
    (tmp_path / "sitecustomize.py").write_text(SLEEP)
    environ = {
        "PYTHONPATH": str(tmp_path),
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1",
    }
    start("timers", clock, path, environ=environ)
    rows = [line.split() for line in await_lines(path, 12, 40)]
    found = {(leap, name): (status, int(attempts), float(seconds)) for leap, name, status, attempts, seconds in rows}
    leaps = [found[leap, "clock"][1] for leap in ("+3600", "-3600", "+0")]
    assert [round(leap, -2) for leap in leaps] == [3600, -7200, 3600]
    for leap in ("+3600", "-3600", "+0"):
        assert found[leap, "runs"][:2] == ("completed", 1)
        assert found[leap, "expires"][:2] == ("failed", 0)
        assert found[leap, "retries"][:2] == ("failed", 3)
        assert found[leap, "expires"][2] < 20
    figure("wall clock leapt by an hour: timers of 0.6 s took up to (s)", max(seconds for _, _, seconds in found.values()))
