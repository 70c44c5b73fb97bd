"""A drill: a flow of twenty atoms, killed at one write after the other, and resumed in a new process each time.

Run as a program with a folder and the name of a flow; prints one line of JSON for each point of crash. It forks for each
process, which is quick, and safe because it has one thread and has written nothing.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from callboard.engines import SyncExecutor
from callboard.flows import LinearFlow, Task, Times, UnorderedFlow
from callboard.state import StateManager
from callboard.state.crash import VARIABLE


class Logged(Task):
    def __init__(self, name: str, folder: str) -> None:
        super().__init__(name, provides=name)
        self.folder = folder

    def log(self, what: str) -> None:
        with open(f"{self.folder}/log", "a") as lines:
            lines.write(f"{what} {self.name}\n")

    def execute(self) -> str:
        self.log("run")
        return self.name

    def revert(self, result: Any) -> None:
        self.log("undo")


class Third(Logged):
    """Succeeds at its controller's third try."""

    def execute(self, attempt: int) -> str:  # type: ignore[override]
        self.log("run")
        if attempt < 3:
            raise ValueError(f"try {attempt}")
        return self.name


class Bad(Logged):
    def execute(self) -> str:
        self.log("run")
        raise OSError("bad")


def build(folder: str, ending: str) -> LinearFlow:
    """Twenty atoms: six in line, five under a controller that tries three times, eight more, the last good or bad."""
    retried = LinearFlow("retried", retry=Times(3, provides="attempt"))
    retried.add(*(Logged(f"r{n}", folder) for n in range(3)), Third("third", folder))
    last = Bad("last", folder) if ending == "reverted" else Logged("last", folder)
    return LinearFlow("drill").add(
        *(Logged(f"a{n}", folder) for n in range(6)),
        retried,
        UnorderedFlow("some").add(*(Logged(f"u{n}", folder) for n in range(4))),
        *(Logged(f"z{n}", folder) for n in range(4)),
        last,
    )


def forked(work: Callable[[], None]) -> int:
    """How a process that did the work ended, as `os.waitpid` tells it."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitpid(child, 0)[1]


def begin(folder: str, ending: str, crash_at: str) -> None:
    os.environ[VARIABLE] = crash_at
    with SyncExecutor(state=f"sqlite:///{folder}/runs.db") as executor:
        executor.execute(build(folder, ending), run_id="run")


def resume(folder: str, ending: str) -> None:
    os.environ.pop(VARIABLE, None)
    with SyncExecutor(state=f"sqlite:///{folder}/runs.db") as executor:
        result = executor.resume("run", build(folder, ending))
    Path(folder, "result").write_text(json.dumps([result.status, sorted(result.outputs), [str(error) for error in result.exceptions]]))


def drill(folder: Path, ending: str, crash_at: str) -> bool:
    """One crash and one resumption; whether the write was reached at all."""
    place = str(folder / crash_at)
    os.mkdir(place)
    status = forked(lambda: begin(place, ending, crash_at))
    standing: dict[str, str] = {}
    begun = True
    if os.WIFSIGNALED(status):
        with StateManager(f"sqlite:///{place}/runs.db") as state:
            begun = bool(state.runs())
            standing = state.states("run") if begun else {}
        if begun:
            status = forked(lambda: resume(place, ending))
            assert status == 0, (crash_at, status)
    else:
        assert status == 0, (crash_at, status)
    told = {
        "at": crash_at,
        "begun": begun,
        "running": [name for name, state in standing.items() if state in ("running", "reverting")],
        "log": Path(place, "log").read_text().splitlines() if Path(place, "log").exists() else [],
        "result": json.loads(Path(place, "result").read_text()) if Path(place, "result").exists() else None,
    }
    print(json.dumps(told), flush=True)
    return bool(standing) or not begun


def main() -> None:
    folder, ending = Path(sys.argv[1]), sys.argv[2]
    for suffix in ("", "+"):
        point = 1
        while drill(folder, ending, f"{point}{suffix}"):
            point += 1


if __name__ == "__main__":
    main()
