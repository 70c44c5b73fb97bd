"""The short form: run a flow and have what it stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callboard.engines.executor import Executor
from callboard.engines.parallel import ParallelExecutor
from callboard.engines.sync import SyncExecutor
from callboard.messages.errors import InvalidSetting


def run(flow: Any, engine: str = "serial", store: Mapping[str, Any] | None = None, *, stage: Any = None, **options: Any) -> dict[str, Any]:
    """Run a flow with the names in ``store`` and return all stored names, the given ones included.

    ``engine`` is ``"serial"``, ``"parallel"``, ``"processes"``, or ``"workers"`` with the playground as ``stage``; other
    keywords go to that executor. Raises the original exception of what failed, several as an `ExceptionGroup`.
    """
    with _executor(engine, stage, options) as executor:
        result = executor.execute(flow, initial_inputs=store)
    result.unwrap()
    return {**(store or {}), **result.outputs}


def _executor(engine: str, stage: Any, options: dict[str, Any]) -> Executor:
    if engine == "workers":
        from callboard.engines.distributed import DistributedExecutor

        return DistributedExecutor(stage, **options)
    if stage is not None:
        raise InvalidSetting(f"a stage goes with engine='workers', not with {engine!r}")
    if engine == "serial":
        return SyncExecutor(**options)
    if engine in ("parallel", "processes"):
        return ParallelExecutor(processes=engine == "processes", **options)
    raise InvalidSetting(f"engine must be 'serial', 'parallel', 'processes' or 'workers', not {engine!r}")
