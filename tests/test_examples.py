"""The examples of the playground print what they should."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.port import free_port

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


# A network that nobody else listens in, for root; its loopback begins switched off.
ALONE = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


def run(name: str, folder: Path, *arguments: str, script: Path | None = None, prefix: Sequence[str] = ()) -> str:
    """What an example, or the ``script`` made of it, prints; nothing else may be said, or left in the folder that it is run in."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    here = folder / "here"
    here.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CALLBOARD_HOME": str(home), "COLUMNS": "90"}
    program = [*prefix, sys.executable, "-W", "error", str(script or EXAMPLES / f"{name}.py"), *arguments]
    done = subprocess.run(program, cwd=here, env=environment, capture_output=True, text=True, timeout=55, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(here.iterdir())
    assert not list(home.iterdir())
    return done.stdout


def expected(name: str) -> str:
    return (EXAMPLES / "expected" / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", ["ceylon_pipeline", "remote_worker", "task_events"])
def test_an_example_prints_what_is_expected(name: str, tmp_path: Path) -> None:
    assert run(name, tmp_path) == expected(name)


def can_be_alone() -> bool:
    try:
        return subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def elsewhere(name: str, folder: Path) -> Path:
    """A copy of an example that listens on a free port instead of 8000."""
    text = (EXAMPLES / f"{name}.py").read_text()
    assert text.count("port=8000") == 1
    copy = folder / f"{name}.py"
    copy.write_text(text.replace("port=8000", f"port={free_port()}"))
    return copy


def test_the_first_workers_of_the_tutorial_take_the_first_tasks_each_time(tmp_path: Path) -> None:
    # Whoever has the tutorial's own port on this machine keeps it.
    alone = can_be_alone()
    for _ in range(3):
        if alone:
            printed = run("ceylon_tutorial", tmp_path, prefix=ALONE)
        else:
            printed = run("ceylon_tutorial", tmp_path, script=elsewhere("ceylon_tutorial", tmp_path))
        assert printed == expected("ceylon_tutorial")


def test_the_standard_executor_serves_whoever_takes_one(tmp_path: Path) -> None:
    wanted = expected("executor")
    if importlib.util.find_spec("dask") is None:
        wanted = wanted.replace("dask: 135", "dask is not installed")
    assert run("executor", tmp_path) == wanted


class Index:
    """What the library index printed and wrote. One test looks at it: two processes of tests would each make it."""

    def __init__(self, folder: Path) -> None:
        report = folder / "report.md"
        self.printed = run("library_index", folder, str(report))
        self.report = report.read_text()

    def number(self, pattern: str) -> int:
        found = re.search(pattern, self.printed)
        assert found is not None, self.printed
        return int(found[1].replace(",", ""))


def test_the_library_index_agrees_with_the_library(tmp_path: Path, figure: Callable[[str, object], None]) -> None:
    index = Index(tmp_path)
    files = index.number(r"^([\d,]+) files")
    assert index.printed.count(f"{files}/{files}") == 2
    assert index.number(r"([\d,]+) tasks in") == 2 * files
    unparsed = [line for line in index.report.partition("Not parsed:")[2].splitlines() if line]
    assert f" {len(unparsed)} files" in index.printed
    assert index.number(r"all \d+ packages +([\d,]+)") + len(unparsed) == files
    row = re.search(r"^\| asyncio \| (\d+) \| (\d+) \|", index.report, re.MULTILINE)
    assert row is not None
    sources = [path.read_text() for path in Path(os.__file__).parent.joinpath("asyncio").glob("*.py")]
    assert (int(row[1]), int(row[2])) == (len(sources), sum(source.count("\n") for source in sources))
    figure("library index, tasks a second", index.number(r"([\d,]+) a second"))
