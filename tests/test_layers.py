"""The law of floors: a module imports its own folder and lower floors, never sideways or up, never the root."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "callboard"
FLOORS = (("messages",), ("resilience", "events", "gather", "state"), ("actors", "flows"), ("engines",), ("jobs", "pipeline", "reports"))
FLOOR = {folder: floor for floor, folders in enumerate((*FLOORS, ("playground",))) for folder in folders}
MODULES = sorted(path.relative_to(HOUSE) for path in HOUSE.rglob("*.py") if path.parent != HOUSE)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_imports_its_own_folder_and_lower_floors(module: Path) -> None:
    folder = module.parts[0]
    for name in imported(HOUSE / module):
        package, _, rest = name.partition(".")
        assert package, f"{module} imports {name} relatively"
        assert package not in {"zmq", "pykka"} or folder == "actors", f"{module} imports {name}"
        if package == "callboard":
            other = rest.partition(".")[0]
            assert other in FLOOR, f"{module} imports {name}: the root, or a folder without a floor"
            assert other == folder or FLOOR[other] < FLOOR[folder], f"{module} imports {name}"


def test_every_folder_has_a_floor_and_the_root_holds_no_module_but_the_way_to_the_command_line() -> None:
    assert {path.name for path in HOUSE.iterdir() if (path / "__init__.py").exists()} <= set(FLOOR)
    assert {path.name for path in HOUSE.glob("*.py")} == {"__init__.py", "__main__.py"}
    assert [*imported(HOUSE / "__main__.py")] == ["__future__", "callboard.playground.command"]


@pytest.mark.parametrize("name", ["actors", "messages", "playground"])
def test_links_at_the_top_point_into_the_package(name: str) -> None:
    assert os.readlink(ROOT / name) == f"callboard/{name}"
    assert (ROOT / name).is_dir()
