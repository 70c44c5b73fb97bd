"""How a worker that a person wrote is put to use: whether it can work, and the call of its method for one task."""

from __future__ import annotations

import inspect
from typing import Any

from callboard.actors.request import ProcessRequest
from callboard.actors.worker import ProcessWorker
from callboard.messages.awaiting import is_awaitable
from callboard.messages.errors import InvalidWorker
from callboard.messages.outcome import Outcome


def check_ready(worker: ProcessWorker) -> None:
    """Raise `InvalidWorker` where a class of a person's own cannot work: it left out our ``__init__``, or its hooks are async."""
    kind = type(worker).__name__
    missing = [name for name in ("name", "role", "skills", "slots") if not hasattr(worker, name)]
    if missing:
        raise InvalidWorker(f"a {kind} has no {missing[0]}: its __init__ must call super().__init__(name, role, ...)")
    for hook in ("on_start", "on_stop"):
        if inspect.iscoroutinefunction(getattr(worker, hook)):
            raise InvalidWorker(f"{hook} of {kind} must be a plain def, not async: no event loop runs yet, or any more, when it is called")


def handle(worker: ProcessWorker, request: ProcessRequest, submitted: int) -> Any:
    """Run whichever method was overridden; ``submitted`` is whole seconds since the epoch."""
    processor = getattr(worker, "_processor", None)
    if processor is None:
        return worker.process(request)
    value = processor(request, submitted)
    return _later(value) if is_awaitable(value) else _verdict(value)


async def _later(value: Any) -> Outcome:
    return _verdict(await value)


def _verdict(value: Any) -> Outcome:
    """``(success, output)`` as an `Outcome`; anything else is the output of a success."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], bool):
        return Outcome(value[0], value[1])
    return Outcome(True, value)
