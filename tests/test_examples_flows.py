"""Each example of flows says, to the letter, what its expected output says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ("data_pipeline", "etl_workflow", "fan_out_fan_in", "resume_after_crash", "retry_alternatives", "revert_on_failure")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_what_is_expected(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = [sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py")]
    done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (ROOT / "examples" / "expected" / f"{name}.txt").read_text()
    assert not list(tmp_path.iterdir())
