"""Celery with Redis as broker and result backend."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from benchmarks.peer import Peer
from benchmarks.redis_server import MISSING, RedisServer, is_missing


def application() -> Any:
    """The Celery application, at both ends; the broker's address stands in the environment."""
    from celery import Celery

    from benchmarks import work

    url = os.environ["BENCHMARK_REDIS"]
    made = Celery("benchmarks", broker=url, backend=url)
    made.conf.worker_prefetch_multiplier = 100
    for function in (work.noop, work.square, work.echo, work.length, work.rest):
        made.task(function, name=function.__name__)
    return made


class CeleryRedis(Peer):
    """Through ``delay`` and ``get``."""

    package = "celery"
    share = 50

    @classmethod
    def missing(cls) -> str | None:
        return super().missing() or (MISSING if is_missing() else None)

    def start(self, workers: int) -> None:
        self._redis = RedisServer()
        os.environ["BENCHMARK_REDIS"] = self._redis.url
        arguments = ["worker", f"--concurrency={workers}", "--loglevel=ERROR", "--without-gossip", "--without-mingle"]
        program = f"from benchmarks.peers.celery import application; application().worker_main({arguments!r})"
        self._worker = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._app = application()
        self.trip()

    def stop(self) -> None:
        self._worker.terminate()
        self._worker.wait()
        self._app.close()
        self._redis.stop()

    def submit(self, function: Any, *args: Any) -> Any:
        return self._app.tasks[function.__name__].delay(*args)

    def result(self, ticket: Any) -> Any:
        return ticket.get(timeout=60)
