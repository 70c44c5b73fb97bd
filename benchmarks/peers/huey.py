"""huey with Redis and a consumer of processes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from benchmarks.peer import Peer
from benchmarks.redis_server import MISSING, RedisServer, is_missing


def queue() -> tuple[Any, dict[str, Any]]:
    """The queue, at both ends, and its tasks by name; the address stands in the environment."""
    from huey import RedisHuey

    from benchmarks import work

    made = RedisHuey("benchmarks", url=os.environ["BENCHMARK_REDIS"], store_none=True)
    functions = (work.noop, work.square, work.echo, work.length, work.rest)
    return made, {function.__name__: made.task(name=function.__name__)(function) for function in functions}


class HueyRedis(Peer):
    """Through decorated functions and ``get(blocking=True)``."""

    package = "huey"
    share = 20

    @classmethod
    def missing(cls) -> str | None:
        return super().missing() or (MISSING if is_missing() else None)

    def start(self, workers: int) -> None:
        self._redis = RedisServer()
        os.environ["BENCHMARK_REDIS"] = self._redis.url
        options = f"workers={workers}, worker_type='process', initial_delay=0.001, max_delay=0.01, check_worker_health=False"
        program = f"from benchmarks.peers.huey import queue; queue()[0].create_consumer({options}).run()"
        self._worker = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._queue, self._tasks = queue()
        self.trip()

    def stop(self) -> None:
        self._worker.terminate()
        self._worker.wait()
        self._redis.stop()

    def submit(self, function: Any, *args: Any) -> Any:
        return self._tasks[function.__name__](*args)

    def result(self, ticket: Any) -> Any:
        return ticket.get(blocking=True, backoff=1.0, max_delay=0.001, timeout=60)
