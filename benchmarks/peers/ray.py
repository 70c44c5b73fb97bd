"""Ray: tasks in a local instance."""

from __future__ import annotations

import logging
import os
from typing import Any

from benchmarks.peer import Peer
from benchmarks.work import following, length, noop


class Ray(Peer):
    """Through remote functions."""

    package = "ray"
    share = 20

    def start(self, workers: int) -> None:
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        self._ray = ray
        ray.init(num_cpus=workers, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
        self._remote: dict[Any, Any] = {}

    def stop(self) -> None:
        self._ray.shutdown()

    def submit(self, function: Any, *args: Any) -> Any:
        if function not in self._remote:
            self._remote[function] = self._ray.remote(function)
        return self._remote[function].remote(*args)

    def result(self, ticket: Any) -> Any:
        return self._ray.get(ticket)

    def many(self, count: int) -> None:
        self._ray.get([self.submit(noop) for _ in range(count)])

    def chain(self, count: int) -> int:
        last: Any = 0
        for _ in range(count):
            last = self.submit(following, last)
        return int(self.result(last))

    def pass_once(self, value: bytes, count: int) -> None:
        shared = self._ray.put(value)
        self._ray.get([self.submit(length, shared) for _ in range(count)])
