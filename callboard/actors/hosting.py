"""The process of a worker: from the worker object to the end of its host."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import Any

from callboard.actors.attempt import Leave
from callboard.actors.execution import Noting
from callboard.actors.host import WorkerHost
from callboard.actors.keyring import Address, read_connection
from callboard.actors.note import NoNote, Note
from callboard.actors.peer import Endpoint
from callboard.actors.processor import check_ready
from callboard.actors.worker import ProcessWorker
from callboard.messages.errors import CannotConnect, WorkerStartFailed
from callboard.messages.payload import loads

logger = logging.getLogger("callboard")

CONNECT_PATIENCE = 10.0
"""Seconds within which a remote worker must have been taken in."""


def serve(worker: ProcessWorker, address: str, key: str | Path | None = None, patience: float = CONNECT_PATIENCE) -> bool:
    """Run a worker for a remote manager until either ends, or SIGTERM or SIGINT comes. See `ProcessWorker.join`.

    Returns whether it ended because a task would not stop: that one still holds a thread of this process, so that only
    a new process can go on.
    """
    check_ready(worker)
    parsed = Address.parse(address)
    endpoint = Endpoint(parsed.endpoint, read_connection(parsed, key))
    host = start(worker, endpoint, NoNote())
    with _Signals(host):
        try:
            host.joined.result(patience)
            logger.info("worker %r joined %s", worker.name, parsed.endpoint)
            host.ended.wait()
        except FutureTimeout:
            raise CannotConnect(f"nobody answered at {parsed.endpoint} within {patience:g} s; is the manager running there?") from None
        except CancelledError:
            pass  # it was told to end before it had joined
        finally:
            host.actor_ref.stop()
            worker_stop(worker.on_stop, worker.name)
    return host.stuck


def start(worker: ProcessWorker, endpoint: Endpoint, note: Noting, token: str | None = None) -> WorkerHost:
    """Call ``on_start`` and start the host's actor."""
    try:
        worker.on_start()
    except Exception as error:  # the user's code
        raise WorkerStartFailed(f"on_start of worker {worker.name!r} raised {type(error).__name__}: {error}") from error
    host, _ = WorkerHost.launch(worker, endpoint, note, token)
    return host


class _Signals:
    """SIGTERM (and, for who works in a terminal, SIGINT) ask the host to leave; only the main thread can hear them."""

    def __init__(self, host: WorkerHost, numbers: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGINT)) -> None:
        self._host = host
        self._numbers = numbers
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in self._numbers:
                self._before[number] = signal.signal(number, lambda *_: self._host.mailbox.post(Leave()))

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def run_child(blob: bytes, endpoint: str, token: str, notebook: int, page: int) -> int:
    """Run a local worker in this freshly forked process; returns its exit code."""
    note = Note(notebook, page)
    try:
        worker: ProcessWorker = loads(blob)
        host = start(worker, Endpoint(endpoint), note, token)
    except BaseException as error:  # the user's code, or modules of theirs that are not to be found here
        note.fail(str(error) if isinstance(error, WorkerStartFailed) else f"{type(error).__name__}: {error}")
        return 3
    with _Signals(host, (signal.SIGTERM,)):
        host.ended.wait()
        worker_stop(worker.on_stop, worker.name)
    host.actor_stopped.wait(2.0)
    sys.stdout.flush()
    sys.stderr.flush()
    return 0


def worker_stop(on_stop: Callable[[], None], name: str) -> None:
    """Call ``on_stop``; what it raises is logged, since nobody is left to be told."""
    try:
        on_stop()
    except Exception:  # the user's code
        logger.exception("on_stop of worker %r raised", name)
