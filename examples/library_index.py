"""Index Python's own standard library: what it defines, and the words it is written in.

Every source file goes to a worker that can parse it and to one that counts its words. What they find is folded into two
aggregators as it arrives; an event then starts the task that writes the report.
"""

from __future__ import annotations

import ast
import keyword
import os
import re
import sys
import sysconfig
import tempfile
import time
import tokenize
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from callboard import Aggregator, Playground, ProcessRequest, ProcessWorker, Task, TaskResult, task

LIBRARY = Path(sysconfig.get_paths()["stdlib"])
KINDS = {ast.ClassDef: "classes", ast.FunctionDef: "functions", ast.AsyncFunctionDef: "functions"}


# -- what workers do --------------------------------------------------------------------------


@task(skills={"syntax"})
def definitions(path: str) -> dict[str, int]:
    """How many lines, classes and functions a file has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library tests what Python warns of
        try:
            with tokenize.open(path) as file:
                source = file.read()
            tree = ast.parse(source)
        except SyntaxError as error:
            line = f" (line {error.lineno})" if error.lineno else ""
            raise ValueError(f"{path}: {error.msg}{line}") from None
    found = Counter(KINDS[type(node)] for node in ast.walk(tree) if type(node) in KINDS)
    return {"path": path, "lines": source.count("\n"), **found}  # type: ignore[dict-item]


@task(skills={"words"})
def words(path: str) -> Counter[str]:
    """How often each word occurs in a file."""
    found = re.findall(r"[A-Za-z]{4,}", Path(path).read_text("utf-8", errors="replace"))
    return Counter(word.lower() for word in found if not keyword.iskeyword(word))


class Clerk(ProcessWorker):
    """Writes the report when an event brings what belongs in it."""

    def process(self, request: ProcessRequest) -> None:
        data = request.metadata["event"]["data"]
        lines = ["# Python's standard library", "", "| package | files | lines | classes | functions |", "|---|---:|---:|---:|---:|"]
        lines += ["| " + " | ".join(map(str, row)) + " |" for row in data["packages"]]
        lines += ["", "Most used: " + ", ".join(f"{word} ({count})" for word, count in data["words"])]
        lines += ["", "Not parsed:", "", *(f"- {problem}" for problem in data["problems"])]
        Path(data["report"]).write_text("\n".join(lines) + "\n")


# -- what is made of it, in this process ----------------------------------------------------------


class Definitions(Aggregator):
    """Sums by package, and keeps what could not be parsed."""

    def __init__(self, progress: Progress, count: int) -> None:
        self.packages: dict[str, Counter[str]] = {}
        self.problems: list[str] = []
        self._progress, self._bar = progress, progress.add_task("definitions", total=count)

    def add(self, result: TaskResult) -> None:
        self._progress.advance(self._bar)
        if not result.success:
            self.problems.append(str(result.error).removeprefix("ValueError: ").removeprefix(f"{LIBRARY}{os.sep}"))
            return
        found = dict(result.output)
        path = Path(found.pop("path")).relative_to(LIBRARY)
        package = path.parts[0] if len(path.parts) > 1 else "(single modules)"
        self.packages.setdefault(package, Counter()).update(found, files=1)

    def finish(self) -> list[tuple[str, int, int, int, int]]:
        rows = [(name, sums["files"], sums["lines"], sums["classes"], sums["functions"]) for name, sums in self.packages.items()]
        return sorted(rows, key=lambda row: row[2], reverse=True)


class Words(Aggregator):
    """The most used words."""

    def __init__(self, progress: Progress, count: int) -> None:
        self._words: Counter[str] = Counter()
        self._progress, self._bar = progress, progress.add_task("words", total=count)

    def add(self, result: TaskResult) -> None:
        self._progress.advance(self._bar)
        self._words.update(result.unwrap())

    def finish(self) -> list[tuple[str, int]]:
        return self._words.most_common(10)


def table(packages: list[Any]) -> Table:
    """The largest packages, and the sum of all."""
    made = Table(show_footer=True, box=SIMPLE_HEAD, pad_edge=False, header_style="bold cyan", footer_style="bold")
    sums = [sum(row[column] for row in packages) for column in range(1, 5)]
    made.add_column("package", f"all {len(packages)} packages")
    for name, total in zip(("files", "lines", "classes", "functions"), sums, strict=True):
        made.add_column(name, f"{total:,}", justify="right")
    for name, *counts in packages[:12]:
        made.add_row(name, *(f"{count:,}" for count in counts))
    return made


def main(report: Path) -> None:
    console = Console(highlight=False)
    files = [str(path) for path in sorted(LIBRARY.rglob("*.py")) if "site-packages" not in path.parts]
    cores = os.cpu_count() or 2
    crew = [ProcessWorker(f"parser-{number}", skills={"syntax"}) for number in range(1, cores + 1)]
    crew += [ProcessWorker(f"counter-{number}", skills={"words"}) for number in range(1, max(2, cores // 2) + 1)]
    console.print(f"{len(files):,} files of Python's library, each for one of {cores} parsers and one of {len(crew) - cores} counters\n")

    bars = Progress(TextColumn("{task.description:<12}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn(), console=console)
    with Playground().play(workers=[*crew, Clerk("clerk", role="clerk")]) as stage, bars:
        stage.on("index.made", start=Task("report", processor="clerk"))
        begun = time.perf_counter()
        parsed = Definitions(bars, len(files))
        handles = [
            stage.fan_out(definitions, files, join=parsed, on_error="collect"),
            stage.fan_out(words, files, join=Words(bars, len(files))),
        ]
        packages, most_used = [handle.result().unwrap() for handle in handles]
        seconds = time.perf_counter() - begun
        stage.emit("index.made", packages=packages, words=most_used, problems=parsed.problems, report=str(report))
    # The block has ended, and so has the task that the event started: the report is written.

    console.print(table(packages))
    console.print("[bold cyan]most used words[/]  " + ", ".join(word for word, _ in most_used[:8]))
    console.print(f"[bold cyan]not parsed[/]       {len(parsed.problems)} files, most of them there to test parsers")
    for problem in sorted(parsed.problems)[:3]:
        console.print(f"                 {problem}", no_wrap=True, overflow="ellipsis", markup=False)
    console.print(f"[bold cyan]report[/]           {report}", soft_wrap=True)
    tasks = 2 * len(files)
    console.print(f"\n[bold]{tasks:,} tasks in {seconds:.1f} s: {tasks / seconds:,.0f} a second[/]")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]) if sys.argv[1:] else Path(tempfile.gettempdir()) / "library_index.md")
    except KeyboardInterrupt:
        sys.exit("stopped")
