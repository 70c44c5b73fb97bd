"""Bare pyzmq sockets, one message a task, with msgpack (or pickle where it is not installed): no bookkeeping at all."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any

import zmq

from benchmarks.peer import Peer, Unsupported


def _codec() -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    if find_spec("msgpack") is None:
        return lambda value: pickle.dumps(value, 5), pickle.loads
    msgpack = import_module("msgpack")
    return msgpack.packb, msgpack.unpackb


def _serve(folder: str) -> None:
    context = zmq.Context()
    tasks, results = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    for socket, name in ((tasks, "tasks"), (results, "results")):
        socket.set_hwm(0)
        socket.connect(f"ipc://{folder}/{name}")
    dumps, loads = _codec()
    results.send(dumps([-1, None]))
    while True:
        task_id, number, value = loads(tasks.recv())
        results.send(dumps([task_id, value if number is None else number * number]))


class RawSockets(Peer):
    """A PUSH and a PULL, and workers that answer each message by one."""

    package = "pyzmq"

    def start(self, workers: int) -> None:
        self._folder = tempfile.mkdtemp(prefix="raw-")
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._tasks, self._results = self._context.socket(zmq.PUSH), self._context.socket(zmq.PULL)
        for socket, name in ((self._tasks, "tasks"), (self._results, "results")):
            socket.set_hwm(0)
            socket.bind(f"ipc://{self._folder}/{name}")
        self._dumps, self._loads = _codec()
        self._workers = [get_context("spawn").Process(target=_serve, args=(self._folder,), daemon=True) for _ in range(workers)]
        for worker in self._workers:
            worker.start()
        for _ in self._workers:
            self._results.recv()
        for _ in range(200 * workers):  # a PUSH gives to whom it has: until both ways of all are connected
            self.trip()

    def stop(self) -> None:
        for worker in self._workers:
            worker.terminate()
            worker.join()
        self._context.destroy(linger=0)
        for name in os.listdir(self._folder):
            os.unlink(f"{self._folder}/{name}")
        os.rmdir(self._folder)

    def submit(self, function: Any, *args: Any) -> Any:
        raise Unsupported

    def many(self, count: int) -> None:
        self._exchange([[number, None, None] for number in range(count)])

    def trip(self) -> None:
        self._exchange([[0, None, None]])

    def fan(self, count: int) -> int:
        return sum(self._exchange([[number, number, None] for number in range(count)]))

    def chain(self, count: int) -> int:
        for number in range(count):
            self._exchange([[0, None, number]])
        return count

    def echo(self, value: bytes) -> int:
        return len(self._exchange([[0, None, value]])[0])

    def _exchange(self, tasks: list[list[Any]]) -> list[Any]:
        send, receive, dumps, loads = self._tasks.send, self._results.recv, self._dumps, self._loads
        for task in tasks:
            send(dumps(task))
        return [loads(receive())[1] for _ in tasks]
