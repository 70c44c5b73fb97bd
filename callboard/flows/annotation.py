"""What flows between tasks, compared by the annotations of who gives and who takes it."""

from __future__ import annotations

import inspect
import types
import typing
import weakref
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from callboard.flows.function import FunctionTask
from callboard.flows.growth import Expansion
from callboard.flows.plan import Kind, Node, Plan
from callboard.flows.task import Task
from callboard.messages.errors import TypeMismatch
from callboard.messages.result import TaskResult

_WIDER: Mapping[type, tuple[type, ...]] = {int: (float, complex), float: (complex,), bool: (float, complex)}


class _Hints(NamedTuple):
    """What a function says of what it takes, of what it gives as a whole, and of the items where that is a tuple."""

    taken: Mapping[str, Any]
    whole: Any
    items: tuple[Any, ...]


_NO_HINTS = _Hints({}, None, ())
_known: weakref.WeakKeyDictionary[Callable[..., Any], _Hints] = weakref.WeakKeyDictionary()


def check_types(plan: Plan) -> None:
    """Raise `TypeMismatch` where a task surely gives another class of values than the one that takes it says it takes.

    Only plain classes are compared (of generics the class without its parameters); what says Any, a union, a protocol,
    or nothing, fits everything.
    """
    given: dict[int, Mapping[str, Any]] = {}
    for node in plan.nodes:
        if node.kind is not Kind.TASK or not node.call.needs or not isinstance(node.task, Task):
            continue
        hints = _hints_of(node.task).taken
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


def _hints_of(task: Task) -> _Hints:
    function = task.function if isinstance(task, FunctionTask) else type(task).execute
    try:
        known = _known.get(function)
        if known is None:
            known = _known[function] = _read(function)
    except TypeError:  # not weakly referable
        return _read(function)
    return known


def _read(function: Callable[..., Any]) -> _Hints:
    if not getattr(inspect.unwrap(function), "__annotations__", None):
        return _NO_HINTS
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # an annotation is the user's code, and may name what is not there at run time
        return _NO_HINTS
    whole = hints.get("return")
    if whole in (TaskResult, Expansion):
        whole = None
    items = typing.get_args(whole) if typing.get_origin(whole) is tuple else ()
    return _Hints(hints, whole, () if Ellipsis in items else items)


def _given(node: Node) -> Mapping[str, Any]:
    if not node.places or not isinstance(node.task, Task):
        return _NOTHING
    hints = _hints_of(node.task)
    if hints.whole is None:
        return _NOTHING
    given = {}
    for name, place in node.places:
        if place is None:
            given[name] = hints.whole
        elif isinstance(place, int) and place < len(hints.items):
            given[name] = hints.items[place]
    return given


_NOTHING: Mapping[str, Any] = {}


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
