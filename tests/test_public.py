"""The public surface: what the root exports, and that it is lazy."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import callboard
from callboard.messages import errors

NAMES = {
    "Aggregator",
    "AsyncExecutor",
    "CircuitBreaker",
    "CompositeTask",
    "DistributedExecutor",
    "Event",
    "EventEmitter",
    "FanOutFanInPattern",
    "ParallelExecutor",
    "Playground",
    "ProcessRequest",
    "ProcessWorker",
    "RetryPolicy",
    "StateManager",
    "SyncExecutor",
    "Task",
    "TaskHandle",
    "TaskProcessingPlayground",
    "TaskResult",
    "TaskStatus",
    "connect",
    "task",
}
ERRORS = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.CallboardError)}


def test_the_root_exports_what_a_script_needs_and_every_error() -> None:
    assert set(callboard.__all__) == NAMES | ERRORS
    assert callboard.__all__ == sorted(callboard.__all__)
    assert set(callboard.__all__) <= set(dir(callboard))


@pytest.mark.parametrize("name", callboard.__all__)
def test_every_name_resolves_to_what_its_folder_calls_so(name: str) -> None:
    value = getattr(callboard, name)
    assert getattr(sys.modules[value.__module__], value.__name__) is value
    assert value.__doc__, f"{name} has no docstring"


def test_the_type_checker_is_told_of_the_same_names() -> None:
    tree = ast.parse(Path(callboard.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {name.asname or name.name for node in block.body if isinstance(node, ast.ImportFrom) for name in node.names}
    assert told == set(callboard.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'callboard' has no attribute 'Plaground'"):
        _ = callboard.Plaground  # type: ignore[attr-defined]


def test_importing_the_root_imports_nothing_else() -> None:
    code = "import callboard, sys; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = [name for name in done.stdout.split() if name.partition(".")[0] in {"callboard", "pydantic", "pykka", "zmq"}]
    assert found == ["callboard"]


def test_what_is_declared_before_the_block_does_without_what_takes_long_to_import() -> None:
    code = "from callboard import Playground, ProcessWorker, Task, task; import sys; Playground(); Task('one'); print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"asyncio", "pydantic", "pykka", "zmq"} & set(done.stdout.split())
