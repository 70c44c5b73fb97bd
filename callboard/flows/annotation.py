"""What flows between tasks, compared by the annotations of who gives and who takes it."""

from __future__ import annotations

import inspect
import types
import typing
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from callboard.flows.function import FunctionTask
from callboard.flows.growth import Expansion
from callboard.flows.plan import Kind, Node, Plan
from callboard.flows.task import Task
from callboard.messages.errors import TypeMismatch
from callboard.messages.result import TaskResult

_hints: weakref.WeakKeyDictionary[Callable[..., Any], Mapping[str, Any]] = weakref.WeakKeyDictionary()
_WIDER: Mapping[type, tuple[type, ...]] = {int: (float, complex), float: (complex,), bool: (float, complex)}


def check_types(plan: Plan) -> None:
    """Raise `TypeMismatch` where a task surely gives another class of values than the one that takes it says it takes.

    Only plain classes are compared (of generics the class without its parameters); what says Any, a union, a protocol,
    or nothing, fits everything.
    """
    given: dict[int, dict[str, Any]] = {}
    for node in plan.nodes:
        if node.kind is not Kind.TASK or not isinstance(node.task, Task):
            continue
        hints = _hints_of(node.task)
        for need in node.call.needs:
            taken = hints.get(need.argument)
            if taken is None or not need.sources:
                continue
            source = need.sources[0]
            if source.node not in given:
                given[source.node] = _given(plan.nodes[source.node])
            found = given[source.node].get(source.name)
            if found is not None and not _fits(found, taken):
                raise TypeMismatch(
                    f"task {plan.nodes[source.node].name!r} provides {source.name!r} as {_called(found)}, "
                    f"but task {node.name!r} takes {need.argument!r} as {_called(taken)}"
                )


def _hints_of(task: Task) -> Mapping[str, Any]:
    function = task.function if isinstance(task, FunctionTask) else type(task).execute
    try:
        known = _hints.get(function)
        if known is None:
            known = _hints[function] = _read(function)
    except TypeError:  # not weakly referable
        return _read(function)
    return known


def _read(function: Callable[..., Any]) -> Mapping[str, Any]:
    if not getattr(inspect.unwrap(function), "__annotations__", None):
        return {}
    try:
        return typing.get_type_hints(function)
    except Exception:  # an annotation is the user's code, and may name what is not there at run time
        return {}


def _given(node: Node) -> dict[str, Any]:
    if not isinstance(node.task, Task) or not node.places:
        return {}
    whole = _hints_of(node.task).get("return")
    if whole is None or whole in (TaskResult, Expansion):
        return {}
    given = {}
    parts = typing.get_args(whole) if typing.get_origin(whole) is tuple else ()
    for name, place in node.places:
        if place is None:
            given[name] = whole
        elif isinstance(place, int) and place < len(parts) and Ellipsis not in parts:
            given[name] = parts[place]
    return given


def _fits(given: Any, taken: Any) -> bool:
    if given is taken:
        return True
    given, taken = _class_of(given), _class_of(taken)
    if given is None or taken is None:
        return True
    return issubclass(given, taken) or issubclass(taken, given) or any(issubclass(wider, taken) for wider in _WIDER.get(given, ()))


def _class_of(hint: Any) -> type | None:
    """The plain class of a hint; None where it says too little, or more than a class does."""
    if type(hint) is type and hint is not object:
        return hint
    found = typing.get_origin(hint) or hint
    if not isinstance(found, type) or found in (Any, object, types.UnionType) or getattr(found, "_is_protocol", False):
        return None
    return found


def _called(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)
