"""The programs and commands in docs/state.md do what stands beside them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "state.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)


def said(folder: Path, *command: str) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=50)
    assert (ended.returncode, ended.stderr) == (0, ""), command
    return ended.stdout


def test_what_the_document_shows_is_what_happens(tmp_path: Path) -> None:
    programs = {block.splitlines()[0].removeprefix("# "): block for block in blocks("python")}
    assert {*programs} == {"shop.py", "begin.py", "once.py", "named.py"}
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
    for name in ("begin.py", "named.py"):
        told = [line.split("  # ")[1].strip() for line in programs[name].splitlines() if "print(" in line]
        assert said(tmp_path, sys.executable, name).splitlines() == told
    for block in blocks("console"):
        script = "\n".join(line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ "))
        answers = "".join(line for line in block.splitlines(keepends=True) if not line.startswith("$ "))
        assert said(tmp_path, "sh", "-ec", script) == answers
