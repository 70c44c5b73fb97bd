"""The other side of `children`: what runs in a child."""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from callboard.engines.children import LENGTH, read_frame
from callboard.engines.job import Job
from callboard.engines.perform import perform
from callboard.messages.errors import CannotPickle
from callboard.messages.failure import Failure
from callboard.messages.payload import dumps_small


def main(read: int, write: int) -> None:
    """Carry out jobs until the parent closes its end. A parent that is gone while a job runs takes the job with it."""
    lock = threading.Lock()
    busy = threading.Event()
    requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(read, requests, busy), name="callboard-requests", daemon=True).start()
    with os.fdopen(write, "wb") as answers:

        def say(kind: str, first: Any, second: Any = None) -> None:
            data = dumps_small((kind, first, second))
            with lock:  # a task may tell of its progress from threads of its own
                answers.write(LENGTH.pack(len(data)) + data)
                answers.flush()

        def tell(job: Job, topic: str, data: Mapping[str, Any]) -> None:
            say("said", topic, dict(data))

        while (request := requests.get()) is not None:
            busy.set()
            answer = _carry_out(request, tell)
            _flush()  # who called sees what the task printed, and not only when this process ends
            busy.clear()
            try:
                say(*answer)
            except Exception as error:  # whatever the user's result raises when it is pickled
                refused = CannotPickle(f"what the task gave cannot be pickled: {type(error).__name__}: {error}")
                say("raised", Failure.of(refused).model_dump_json())


def _listen(read: int, requests: queue.SimpleQueue[bytes | None], busy: threading.Event) -> None:
    with os.fdopen(read, "rb") as stream:
        while True:
            try:
                requests.put(read_frame(stream))
            except EOFError:
                if busy.is_set():
                    os._exit(1)  # nobody is left to be answered, and nobody who could stop what runs
                requests.put(None)
                return


def _carry_out(request: bytes, tell: Callable[..., None]) -> tuple[str, Any]:
    """What is to be said of a job at its end."""
    try:
        task, arguments, attempt, undo = pickle.loads(request)
    except Exception as error:  # what the user's classes raise when they are rebuilt
        return "raised", Failure.of(error).model_dump_json()
    ending = perform(Job(0, task.name, task, arguments, attempt, undo), tell)
    if isinstance(ending.error, SystemExit):
        _flush()
        os._exit(ending.error.code if isinstance(ending.error.code, int) else 1)
    if ending.error is not None:
        return "raised", Failure.of(ending.error).model_dump_json()
    return "returned", ending.outcome


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # there is none, its reader is gone, or the task closed it
            continue
