"""Processes of their own for the tests of faults: ``python -m tests.faults.program KIND ...``; each says READY."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

from callboard import Playground, RetryPolicy, Task, connect
from callboard.playground.command import main
from callboard.resilience import StopAfterSeconds
from tests.faults.crew import Hand, note, order


def manager(port: str, key_file: str, host: str = "127.0.0.1", workers: str = "0") -> None:
    """A manager, until SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    crew = [Hand(f"local-{number}") for number in range(int(workers))]
    with Playground("standing", port=int(port), host=host, key_file=key_file).play(workers=crew):
        ready()
        ended.wait()


def command(*arguments: str) -> None:
    """The command line."""
    ready()
    sys.argv[:] = ["callboard", *arguments]
    main()


def worker(address: str, key_file: str, name: str, slots: str = "1") -> None:
    """A worker, until it is told to end; "-" for the file that the manager left."""
    ready()
    Hand(name, slots=int(slots)).join(address, key=None if key_file == "-" else key_file)


def client(address: str, key_file: str, count: str, seconds: str, path: str) -> None:
    """Submits ``count`` tasks of so many seconds, and notes each outcome in a file."""
    with connect(address, key=key_file, timeout=20) as board:
        handles = [board.submit(order("sleep", float(seconds))) for _ in range(int(count))]
        ready()
        for handle in handles:
            result = handle.result()
            note(path, f"{result.task_id} {result.status.value} {result.attempts}")


def listener(address: str, key_file: str, path: str) -> None:
    """Notes the events that it hears, until its standard input ends."""
    with connect(address, key=key_file, timeout=20) as board:
        board.on("*", lambda event: note(path, f"{event.topic} {event.data.get('number', event.data.get('missed'))}"))
        ready()
        sys.stdin.read()


def script(path: str) -> None:
    """A script with workers of its own, that waits for ever."""
    with Playground("script").play(workers=[Hand("ada"), Hand("bob")]) as stage:
        for agent in stage.workers:
            note(path, str(agent.pid))
        stage.submit(order("sleep", 60.0))
        ready()
        threading.Event().wait()


def timers(clock: str, path: str) -> None:
    """Tasks with timers while the wall clock, which the file says to libfaketime, leaps; notes how long each took."""
    policy = RetryPolicy(max_attempts=3, initial_delay_seconds=0.2, stop=StopAfterSeconds(30))
    with Playground("timers").play(workers=[Hand("ada", slots=4)]) as stage:
        ready()
        for leap in ("+3600", "-3600", "+0"):
            stage.submit(order("echo", 1)).result(10)
            began, wall = time.monotonic(), time.time()
            handles = {
                "runs": stage.submit(order("sleep", 0.6, timeout=5)),
                "expires": stage.submit(Task("late", "async", {"data": 0.0}, expires_in=0.5)),
                "retries": stage.submit(order("fail", "no", retry_policy=policy)),
            }
            time.sleep(0.1)
            Path(clock).write_text(f"{leap}\n")
            for name, handle in handles.items():
                result = handle.result(20)
                note(path, f"{leap} {name} {result.status.value} {result.attempts} {time.monotonic() - began:.3f}")
            note(path, f"{leap} clock leapt {time.time() - wall:.0f} 0")


def ready() -> None:
    """Tell the parent that it may go on."""
    print("READY", flush=True)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
