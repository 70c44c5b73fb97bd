"""Small programs that a test runs in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_program(source: str, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Write ``source`` to a file and run it as ``__main__``, in ``folder``."""
    path = folder / "program.py"
    path.write_text(source)
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, "-W", "error", path, *arguments], capture_output=True, text=True, cwd=folder, env=variables, timeout=50
    )
