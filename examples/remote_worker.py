"""A manager, a worker and a client in three processes, over TCP with keys.

On one machine, the manager's connection file is found by its address. To use several machines, see "Remote workers" in
the README. This script starts all three: itself as the client, and by the command line what a person would type into
two other terminals.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from callboard import ProcessRequest, ProcessWorker, Task, connect


class Painter(ProcessWorker):
    def process(self, request: ProcessRequest) -> tuple[str, int]:
        return f"{self.name} painted {request.data}", os.getpid()


def command(*words: str) -> subprocess.Popen[str]:
    """``callboard WORDS``, in a process of its own, in the folder of this file."""
    program = [sys.executable, "-m", "callboard", *words]
    return subprocess.Popen(program, cwd=Path(__file__).parent, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    manager = command("manager", "--port", str(port))
    assert manager.stdout is not None
    manager.stdout.readline()  # it says so when it listens
    worker = command("worker", address, "remote_worker:Painter", "--name", "eve", "--role", "paint", "--skill", "oil=9")

    with connect(address) as client:
        # The worker may still be on its way: the task waits for it.
        result = client.submit(Task("portrait", "paint", {"data": "a cat"}, skills={"oil": 5})).result()
        picture, pid = result.unwrap()
        print(picture)
        print("three processes:", len({os.getpid(), manager.pid, pid}) == 3)
        print("connected:", ", ".join(f"{view.name} ({view.role}, {view.skills})" for view in client.workers))

    worker.send_signal(signal.SIGTERM)  # it would finish what it runs first
    print("the worker left with exit code", worker.wait())
    manager.send_signal(signal.SIGTERM)
    print("the manager left with exit code", manager.wait())
    manager.stdout.close()
    assert worker.stdout is not None
    worker.stdout.close()


if __name__ == "__main__":
    main()
