"""Each test that the page of guarantees names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "guarantees.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def functions_of(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_guarantee_is_shown(path: str, name: str) -> None:
    assert name.startswith("test_")
    assert name in functions_of(ROOT / path)


def test_every_guarantee_names_what_shows_it() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert len(rows) > 30
    assert [row for row in rows if "tests/" not in row and "`make " not in row] == []


def test_what_is_not_promised_is_said() -> None:
    assert "## What is not promised" in PAGE
    assert len(re.findall(r"^- \*\*", PAGE, re.MULTILINE)) >= 8


def test_no_test_of_faults_is_left_out() -> None:
    named = {path for path, _ in NAMED}
    untold = {"tests/faults/test_resilience.py", "tests/faults/test_waiting.py"}  # what they show is no promise under faults
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "faults").glob("test_*.py")}
    assert there - named == untold
