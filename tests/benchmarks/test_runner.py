"""The runner of the benchmarks, with tiny counts: that it works, not how fast anything is."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.peers import HOMES, peer_class
from benchmarks.report import Row, ratios, section
from benchmarks.workload import WORKLOADS


def test_a_workload_is_measured_and_written_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "results.md"
    main(["--quick", "--output", str(page), "c"])
    text = page.read_text()
    assert text.startswith("# Results")
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## C. fan out 1,000 and fold them in an aggregator (ms)"]
    for peer in ("callboard", "ProcessPoolExecutor", "multiprocessing.Pool", "raw pyzmq"):
        assert any(line.startswith(f"| {peer} | ") and not line.startswith(f"| {peer} | -") for line in text.splitlines())
    assert text.strip() in capsys.readouterr().out


def test_every_peer_that_is_missing_says_so() -> None:
    for name in HOMES:
        missing = peer_class(name).missing()
        assert missing is None or "not installed" in missing


def test_ratios_are_pair_by_pair_and_more_is_better() -> None:
    rate, trip = (next(each for each in WORKLOADS if each.key == key) for key in "AB")
    ours, theirs = Row("callboard", [10.0, 30.0, None], []), Row("ProcessPoolExecutor", [5.0, 10.0, 1.0], [])
    assert ratios(rate, ours, theirs) == [2.0, 3.0]
    assert ratios(trip, ours, theirs) == [0.5, 1 / 3]


def test_a_floor_that_is_not_reached_is_told() -> None:
    workload = next(each for each in WORKLOADS if each.key == "C")
    rows = [Row("callboard", [10.0], [{}]), Row("ProcessPoolExecutor", [20.0], [{}])]
    assert "- callboard: ratio at least 3 beside ProcessPoolExecutor: 2, NOT REACHED" in section(workload, rows)
    rows[0].figures[0] = 5.0
    assert "- callboard: ratio at least 3 beside ProcessPoolExecutor: 4, reached" in section(workload, rows)
