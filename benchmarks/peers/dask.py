"""Dask distributed: a local cluster of processes."""

from __future__ import annotations

import logging
from typing import Any

from benchmarks.peer import Peer
from benchmarks.work import following, length, noop


class Dask(Peer):
    """Through ``Client.submit``."""

    package = "distributed"
    share = 50

    def start(self, workers: int) -> None:
        from distributed import Client, LocalCluster

        self._cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=logging.ERROR)
        self._client = Client(self._cluster)

    def stop(self) -> None:
        self._client.close()
        self._cluster.close()

    def submit(self, function: Any, *args: Any) -> Any:
        return self._client.submit(function, *args, pure=False)

    def result(self, ticket: Any) -> Any:
        return ticket.result()

    def many(self, count: int) -> None:
        self._client.gather([self._client.submit(noop, number, pure=False) for number in range(count)])

    def chain(self, count: int) -> int:
        last = self.submit(following, 0)
        for _ in range(count - 1):
            last = self.submit(following, last)
        return int(last.result())

    def pass_once(self, value: bytes, count: int) -> None:
        [shared] = self._client.scatter([value], broadcast=True)
        self._client.gather([self._client.submit(length, shared, number, pure=False) for number in range(count)])
