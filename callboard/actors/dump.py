"""Where each worker's Python stands: told by the workers, gathered by the manager for who asks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import os
import selectors
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import FrameType
from typing import Any

import pykka

from callboard.actors.attempt import Attempt
from callboard.actors.dispatch.agenda import Agenda
from callboard.actors.dispatch.record import WorkerRecord
from callboard.messages.errors import CallboardError
from callboard.messages.wire import MAX_DUMP, Dump, Dumped

PATIENCE = 2.0
"""Seconds that workers have to answer; one whose interpreter is held by C code cannot."""
MAX_DUMPS = 4 * 1024 * 1024
"""Characters of all stacks together, so that they fit in one answer."""
_FOLDERS = [Path(str(module.__file__)).parent for module in (asyncio, concurrent.futures, pykka)] + [Path(__file__).parent.parent]
_OURS = (*(f"{folder}{os.sep}" for folder in _FOLDERS), selectors.__file__, threading.__file__)


class Dumps:
    """Dumps under way. In the manager's thread. ``tell`` sends a message to a worker by its id."""

    def __init__(self, agenda: Agenda, tell: Callable[[str, Dump, float], None]) -> None:
        self._agenda = agenda
        self._tell = tell
        self._numbers = itertools.count(1)
        self._open: dict[int, tuple[Future[list[dict[str, Any]]], dict[str, dict[str, Any]]]] = {}

    def begin(self, workers: Iterable[WorkerRecord], now: float) -> Future[list[dict[str, Any]]]:
        """Ask these workers. The answer has a row for each: name, pid, host, and text, which is None when it did not answer."""
        number = next(self._numbers)
        answer: Future[list[dict[str, Any]]] = Future()
        infos = [worker.info for worker in workers]
        rows = {info.worker_id: {"name": info.name, "pid": info.pid, "host": info.host, "text": None} for info in infos}
        self._open[number] = answer, rows
        for worker_id in rows:
            self._tell(worker_id, Dump(number=number), now)
        self._agenda.at(now + (PATIENCE if rows else 0.0), self._end, number)
        return answer

    def heard(self, worker_id: str, message: Dumped) -> None:
        """A worker has answered."""
        _, rows = self._open.get(message.number, (None, {}))
        if worker_id in rows:
            rows[worker_id]["text"] = message.text[-(MAX_DUMPS // len(rows)) :]
            if all(row["text"] is not None for row in rows.values()):
                self._end(message.number, 0.0)

    def _end(self, number: int, now: float) -> None:
        answer, rows = self._open.pop(number, (None, {}))
        if answer is not None:
            answer.set_result(list(rows.values()))

    def abandon(self, error: CallboardError) -> None:
        """The manager ends."""
        while self._open:
            self._open.popitem()[1][0].set_exception(error)


def stacks(attempts: Collection[Attempt], tasks: Iterable[asyncio.Task[Any]]) -> str:
    """What this process runs, and where: the stacks of its threads and of the coroutines that they wait for.

    What stands above a person's code on a stack is left out, and so are stacks without any.
    """
    now = time.monotonic()
    begun = [attempt for attempt in attempts if attempt.started is not None]
    lines = [f"{len(begun)} running, {len(attempts) - len(begun)} waiting\n"]
    for attempt in begun:
        lines.append(f"task {attempt.name!r} ({attempt.task_id}) for {now - (attempt.started or now):.1f} s\n")
    frames = sys._current_frames()
    ours = {threading.get_ident(), threading.main_thread().ident}  # the main thread of a worker only waits for its end
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        if frame is not None and thread.ident not in ours:
            lines += _section(f"thread {thread.name}", reversed(list(traceback.walk_stack(frame))))
    for task in tasks:
        lines += _section(f"coroutine {task.get_name()}", _awaited(task))
    return "".join(lines)[-MAX_DUMP:]


def _section(title: str, frames: Iterable[tuple[FrameType, int]]) -> list[str]:
    """Lines for one stack, outermost frame first; none where no code of a person's is on it."""
    theirs = list(itertools.dropwhile(lambda pair: pair[0].f_code.co_filename.startswith(_OURS), frames))
    return [f"{title}:\n", *traceback.StackSummary.extract(iter(theirs)).format()] if theirs else []


def _awaited(task: asyncio.Task[Any]) -> Iterator[tuple[FrameType, int]]:
    # Task.get_stack knows the outermost frame only.
    coroutine: Any = task.get_coro()
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None:
            yield frame, frame.f_lineno
        coroutine = getattr(coroutine, "cr_await", None)
