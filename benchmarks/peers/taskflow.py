"""TaskFlow: a flow a workload, run by its parallel engine in threads, the quickest of its engines for small tasks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.peer import Peer, Unsupported
from benchmarks.work import following, noop, rest, square


class TaskFlow(Peer):
    """No futures: what belongs together is one flow."""

    package = "taskflow"
    share = 100

    def start(self, workers: int) -> None:
        from futurist import ThreadPoolExecutor

        # One for all flows: an engine that makes its own waits a second for its threads at the end of each flow.
        self._executor = ThreadPoolExecutor(workers)

    def stop(self) -> None:
        self._executor.shutdown()

    def submit(self, function: Any, *args: Any) -> Any:
        raise Unsupported

    def many(self, count: int) -> None:
        self._unordered(noop, [() for _ in range(count)])

    def trip(self) -> None:
        self._unordered(noop, [()])

    def fan(self, count: int) -> int:
        return int(sum(self._unordered(square, [(number,) for number in range(count)])))

    def rests(self, lengths: Iterable[float]) -> None:
        self._unordered(rest, [(seconds,) for seconds in lengths])

    def chain(self, count: int) -> int:
        from taskflow.patterns import linear_flow
        from taskflow.task import FunctorTask

        flow = linear_flow.Flow("chain")
        for row in range(count):
            flow.add(FunctorTask(following, name=f"t{row}", provides=f"v{row + 1}", rebind={"number": f"v{row}"}))
        return int(self._run(flow, {"v0": 0})[f"v{count}"])

    def _unordered(self, function: Any, calls: list[tuple[Any, ...]]) -> list[Any]:
        from taskflow.patterns import unordered_flow
        from taskflow.task import FunctorTask

        flow = unordered_flow.Flow("all")
        for row, args in enumerate(calls):
            names = function.__code__.co_varnames[: len(args)]
            inject = dict(zip(names, args, strict=True))
            flow.add(FunctorTask(function, name=f"t{row}", provides=f"v{row}", inject=inject))
        results = self._run(flow, {})
        return [results[f"v{row}"] for row in range(len(calls))]

    def _run(self, flow: Any, store: dict[str, Any]) -> dict[str, Any]:
        from taskflow import engines

        results: dict[str, Any] = engines.run(flow, store=store, engine="parallel", executor=self._executor)
        return results
