"""Workers that the tests' command lines name."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from callboard import ProcessRequest, ProcessWorker


class Painter(ProcessWorker):
    """Does what the data say, and tells who did it."""

    def process(self, request: ProcessRequest) -> dict[str, Any]:
        wanted = request.data if isinstance(request.data, dict) else {}
        if "fail" in wanted:
            raise ValueError(wanted["fail"])
        if "note" in wanted:
            with open(wanted["note"], "a") as file:
                file.write(f"{request.id}\n")
        if "until" in wanted:
            Path(f"{wanted['until']}.begun").touch()
            while not os.path.exists(wanted["until"]):
                time.sleep(0.005)
        for number in range(wanted.get("say", 0)):
            request.emit("studio.number", number=number)
        return {"worker": self.name, "pid": os.getpid(), "data": request.data, "attempt": request.attempt}


class Modest(ProcessWorker):
    """Takes no more than its name."""

    def __init__(self, name: str) -> None:
        super().__init__(name, role="modest")


class Demanding(ProcessWorker):
    """Wants what the command line cannot give."""

    def __init__(self, name: str, studio: str) -> None:
        super().__init__(name)
        self.studio = studio


class Ceremonial(Painter):
    """Notes its beginning and its end."""

    def on_start(self) -> None:
        Path(os.environ["CEREMONY"]).write_text("started\n")

    def on_stop(self) -> None:
        with open(os.environ["CEREMONY"], "a") as file:
            file.write("stopped\n")


class Broken(ProcessWorker):
    """Cannot be made."""

    def __init__(self, name: str) -> None:
        raise RuntimeError("no brushes left")


not_a_class = 42
