"""From what a person fans out over items to the tasks of the group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from callboard.flows import Task
from callboard.flows.function import call_submission
from callboard.messages.errors import InvalidTask
from callboard.messages.task import Submission, Submittable


class _Call:
    """One item's call of a plain function, captured when the group is submitted."""

    def __init__(self, function: Callable[..., Any], item: Any) -> None:
        self._function = function
        self._item = item

    def submission(self) -> Submission:
        """What travels of it, under a fresh id."""
        return call_submission(self._function, (self._item,), {})


def tasks_for(work: Any, items: Iterable[Any]) -> tuple[str, list[Submittable]]:
    """A name for the group, and a task for each item. Raises `InvalidTask`.

    For a role the item is the request's ``data``. For a Task subclass a mapping gives the inputs by name, anything else
    is its first input. A function is called with the item.
    """
    if not isinstance(items, Iterable):
        raise InvalidTask(f"items to fan out over must be several, such as a list or a generator, not {items!r}")
    if isinstance(work, str):
        return work, [Task(f"{work}-{index}", processor=work, input_data={"data": item}) for index, item in enumerate(items)]
    if isinstance(work, type) and issubclass(work, Task):
        return work.__name__, [work(input_data=_inputs(work, item)) for item in items]
    if not callable(work):
        raise InvalidTask(f"work to fan out must be a Task subclass, a function or a role, not {work!r}")
    name = getattr(work, "__name__", type(work).__name__)
    maker = getattr(work, "task", None)
    if callable(maker):
        return name, [maker(item) for item in items]
    return name, [_Call(work, item) for item in items]


def _inputs(work: type[Task], item: Any) -> dict[str, Any]:
    signature = work.signature(work.__new__(work))
    if isinstance(item, Mapping) and all(isinstance(key, str) for key in item) and set(signature.required) <= set(item):
        return dict(item)
    if not signature.names:
        raise InvalidTask(f"{work.__name__}.execute takes no input, so that it cannot be fanned out over items")
    return {signature.names[0]: item}
