"""A flow whose process is killed in the middle: started again, it goes on where it stopped.

The script starts itself twice. The first process kills itself inside its second task; the next one resumes the run.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from callboard import StateManager, SyncExecutor, Task
from callboard.flows import LinearFlow


class Step(Task):
    def execute(self) -> str:
        print(f"  {self.name}", flush=True)
        return self.name


class DangerousStep(Step):
    """Kills its process the first time it runs."""

    def __init__(self, name: str, mark: Path) -> None:
        super().__init__(name)
        self.mark = mark

    def execute(self) -> str:
        super().execute()
        if not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.name


def build(folder: Path) -> LinearFlow:
    return LinearFlow("long").add(Step("first"), DangerousStep("second", folder / "mark"), Step("third"))


def work(folder: Path) -> None:
    state = StateManager(f"sqlite:///{folder}/runs.db")
    executor = SyncExecutor(state=state)
    if state.runs():
        print("resuming; so far:", state.states("run"), flush=True)
        result = executor.resume("run", build(folder))
    else:
        print("beginning", flush=True)
        result = executor.execute(build(folder), run_id="run")
    print(result.status, "with", result.output)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            ended = subprocess.run([sys.executable, __file__, folder], check=False).returncode
            print("the process was killed" if ended == -signal.SIGKILL else f"the process exited with {ended}", flush=True)


if __name__ == "__main__":
    work(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
