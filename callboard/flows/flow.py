"""Flows: what belongs together, and in what order it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Self, Union

from callboard.flows.declaration import Names, checked
from callboard.flows.function import Maker
from callboard.flows.retry import Retry
from callboard.flows.task import Task
from callboard.messages.errors import InvalidFlow

Item = Union[Task, "Flow"]


class Entry(NamedTuple):
    """A task or flow in its place, with what was said about it from outside. None leaves the task's own declaration."""

    item: Item
    requires: Any = None
    provides: Any = None
    rebind: Any = None
    when: Callable[..., Any] | None = None

    @property
    def name(self) -> str:
        """The name of the task or flow."""
        return self.item.name


class Flow:
    """Base of flows. Holds tasks and flows, in the order in which they were added; may be run any number of times.

    ``retry`` is the controller that is asked when something in it fails. With a ``namespace`` all names of its atoms
    and of what they store get that prefix (``"bob.phone"``), while inside the short names serve; so one way of making
    a flow serves several times in another flow.
    """

    def __init__(self, name: str, retry: Retry | None = None, *, namespace: str | None = None) -> None:
        self.name = checked("name", name, "a flow")
        if retry is not None and not isinstance(retry, Retry):
            raise InvalidFlow(f"retry of flow {name!r} must be a controller such as Times(3), not {retry!r}; a RetryPolicy is a task's own")
        if namespace is not None and (not isinstance(namespace, str) or not namespace):
            raise InvalidFlow(f"namespace of flow {name!r} must be a text that is not empty, not {namespace!r}")
        self.retry = retry
        self.namespace = namespace
        self.entries: list[Entry] = []

    def add(self, *items: Any, requires: Names | None = None, provides: Names | None = None, rebind: Names | None = None) -> Self:
        """Add tasks, flows and ``@task`` functions, and return the flow itself.

        The keywords say of a single task what its own declaration leaves open or says otherwise.
        """
        if len(items) != 1 and not (requires is provides is rebind is None):
            raise InvalidFlow(f"requires, provides and rebind say something of one task; {len(items)} were added to flow {self.name!r}")
        for item in items:
            self._place(item, requires, provides, rebind)
        return self

    def _place(self, item: Any, requires: Any, provides: Any, rebind: Any, when: Callable[..., Any] | None = None) -> None:
        item = self._accept(item)
        given = {"requires": requires, "provides": provides, "rebind": rebind}
        owner = f"{item.name!r} in flow {self.name!r}"
        found = {field: None if value is None else checked(field, value, owner) for field, value in given.items()}
        self.entries.append(Entry(item, found["requires"], found["provides"], found["rebind"], when))

    def _accept(self, item: Any) -> Item:
        maker = getattr(item, "task", None)
        if isinstance(maker, Maker):
            return maker()
        if isinstance(item, Flow):
            if item is self or self in item.within():
                raise InvalidFlow(f"flow {self.name!r} cannot be put into itself")
            return item
        if isinstance(item, type) and issubclass(item, Task):
            raise InvalidFlow(f"flow {self.name!r} takes tasks, not the class {item.__name__}; write {item.__name__}(...)")
        if not isinstance(item, Task):
            hint = "; write FunctionTask(function), or @task above its def" if callable(item) else ""
            raise InvalidFlow(f"flow {self.name!r} takes tasks and flows, not {item!r}{hint}")
        return item

    def within(self) -> Iterator[Flow]:
        """All flows inside of this one, at any depth."""
        left = [self]
        while left:
            inside = [entry.item for entry in left.pop().entries if isinstance(entry.item, Flow)]
            yield from inside
            left += inside

    def __len__(self) -> int:
        return len(self.entries)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Item]:
        return (entry.item for entry in self.entries)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of {len(self.entries)}>"


class LinearFlow(Flow):
    """Runs one after the other, in the order of adding."""


class UnorderedFlow(Flow):
    """Runs in any order, and at once where the executor can; what is in it cannot use each other's results."""
