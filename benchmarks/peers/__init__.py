"""The peers by name, each in a file of its own that is imported only where it is measured."""

from __future__ import annotations

from importlib import import_module

from benchmarks.peer import Peer

HOMES = {
    "callboard": "stage.Executor",
    "callboard submit": "stage.Submit",
    "callboard gather": "stage.Gather",
    "callboard map": "stage.Map",
    "ProcessPoolExecutor": "process_pool.ProcessPool",
    "multiprocessing.Pool": "pool.MultiprocessingPool",
    "raw pyzmq": "raw.RawSockets",
    "Dask": "dask.Dask",
    "Ray": "ray.Ray",
    "Celery": "celery.CeleryRedis",
    "xoscar": "xoscar.Xoscar",
    "TaskFlow": "taskflow.TaskFlow",
    "huey": "huey.HueyRedis",
}
BUILT_IN = ("ProcessPoolExecutor", "multiprocessing.Pool", "raw pyzmq")
OTHERS = ("Dask", "Ray", "Celery", "xoscar", "TaskFlow", "huey")


def peer_class(name: str) -> type[Peer]:
    """The class of a peer."""
    module, kind = HOMES[name].split(".")
    found = getattr(import_module(f"benchmarks.peers.{module}"), kind)
    assert isinstance(found, type) and issubclass(found, Peer)
    return found
