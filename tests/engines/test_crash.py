from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LINE = [*(f"a{n}" for n in range(6))]
RETRIED = ["r0", "r1", "r2", "third"]
REST = [*(f"u{n}" for n in range(4)), *(f"z{n}" for n in range(4)), "last"]


def expected(ending: str) -> Counter[str]:
    """How often each atom runs and is undone where nothing crashes."""
    counts = Counter(f"run {name}" for name in [*LINE, *RETRIED * 3, *REST])
    counts.update(f"undo {name}" for name in RETRIED * 2)
    if ending == "reverted":
        counts.update(f"undo {name}" for name in [*LINE, *RETRIED, *REST])
    return counts


@pytest.mark.timeout(300)
@pytest.mark.parametrize("ending", ["completed", "reverted"])
def test_a_run_that_is_killed_at_any_write_goes_on(ending: str, tmp_path: Path) -> None:
    """At every write, before and after it: what had finished does not run again, what was running runs again, and the
    run ends as it would have."""
    program = [sys.executable, "-m", "tests.engines.crash_drill", str(tmp_path), ending]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    drills: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    crashed = [drill for drill in drills if drill["result"] is not None]
    assert len(crashed) > 2 * 30
    assert all(drill["begun"] for drill in drills if drill["at"] != "1")
    for drill in crashed:
        status, outputs, errors = drill["result"]
        assert status == ending, drill
        assert errors == (["bad"] if ending == "reverted" else []), drill
        assert len(outputs) == (0 if ending == "reverted" else 20), drill
        more = Counter(drill["log"])
        more.subtract(expected(ending))
        twice = {line: count for line, count in more.items() if count}
        assert set(twice.values()) <= {1} and len(twice) <= 1, drill
        assert {line.split()[1] for line in twice} <= set(drill["running"]), drill
