"""One task becomes many, and many results become one, while the flow runs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from callboard.flows.flow import Flow, LinearFlow, UnorderedFlow
from callboard.flows.function import FunctionTask, Maker
from callboard.flows.growth import Expansion
from callboard.flows.signature import Signature
from callboard.flows.task import Task
from callboard.gather import Aggregator, Close, Feed, Gather, make_join
from callboard.messages.errors import GroupFailed, InvalidTask
from callboard.messages.result import TaskResult
from callboard.messages.status import TaskStatus

HIDDEN = "\0"
"""Stored names that begin so are the library's own, and are not among a flow's outputs."""

Work = type[Task] | Task | Callable[..., Any] | str
JoinBy = Aggregator | type[Aggregator] | Callable[[list[Any]], Any] | None


class FanOutFanInPattern(Task):
    """Does ``work`` for each of ``items``, as many at once as the executor can, and joins what comes of it.

    ``work`` is a Task subclass or a Task (the item is its first argument), a function, or the role of workers (the item
    is the ``data`` of their request). ``items`` are values, or the stored name under which they are found. ``join`` is a
    function of the list of outputs in the order of the items, or an `Aggregator`; left out, the list is the result.

    An item that fails fails the flow (``on_error="raise"``), is left out (``"skip"``), or stands in the list as its
    `TaskResult` (``"collect"``). With a ``quorum`` fewer successes end by `QuorumNotReached`, and other failures are left
    out. Items are atoms of the flow, by the names ``name[0]``, ``name[1]``, ...
    """

    def __init__(
        self,
        work: Work,
        items: Iterable[Any] | str = "items",
        join: JoinBy = None,
        *,
        on_error: str = "raise",
        quorum: int | None = None,
        name: str | None = None,
        **declared: Any,
    ) -> None:
        if not isinstance(items, Iterable):
            raise InvalidTask(f"the items of a fan-out are several values, or the stored name of such, not {items!r}")
        self.source = items if isinstance(items, str) else None
        self.items = None if isinstance(items, str) else list(items)
        super().__init__(name or _name_of(work), **declared)
        self.work = work
        self.join = join
        self.on_error = on_error
        self.quorum = quorum
        make_join(join)
        Gather(len(self.items) if self.items is not None else max(quorum or 1, 1), on_error, quorum)
        _branch(work, "trial", None)

    def signature(self) -> Signature:
        """The stored name of the items, where they are to be found."""
        return Signature((), (), False) if self.source is None else Signature((self.source,), (), False)

    def execute(self, *args: Any, **inputs: Any) -> Expansion:
        """Make an atom for each item, and one that joins."""
        items = list(inputs[self.source]) if self.source is not None else list(self.items or ())
        Gather(len(items), self.on_error, self.quorum)
        flow: Flow = LinearFlow(self.name)
        branches = UnorderedFlow(f"{self.name} items")
        names = [f"{HIDDEN}{self.name}[{index}]" for index in range(len(items))]
        for index, item in enumerate(items):
            branch = _branch(self.work, f"{self.name}[{index}]", item)
            branch.tolerated = self.on_error != "raise" or self.quorum is not None
            branches.add(branch, provides=names[index])
        flow.add(branches, _Joining(self, names))
        return Expansion(flow)

    def submission(self) -> NoReturn:
        """Not for a playground alone, which has ``fan_out`` for it: an executor makes the atoms."""
        raise InvalidTask(f"{self._label()} makes atoms of a flow: hand it to an executor, or use the playground's fan_out()")


class _Joining(Task):
    def __init__(self, pattern: FanOutFanInPattern, order: list[str]) -> None:
        super().__init__(f"{pattern.name} join", requires=order, provides=pattern.provides)
        self.order = order
        self.join = pattern.join
        self.on_error = pattern.on_error
        self.quorum = pattern.quorum

    def execute(self, **outputs: Any) -> Any:
        """Feed the results to the join by the rules of the group."""
        join, gather = make_join(self.join), Gather(len(self.order), self.on_error, self.quorum)
        decisions = [*gather.start()]
        for index, name in enumerate(self.order):
            decisions += gather.add(index, _as_result(name.removeprefix(HIDDEN), outputs[name]))
        for decision in decisions:
            if isinstance(decision, Feed):
                join.feed(decision)
            elif isinstance(decision, Close) and decision.status is not TaskStatus.COMPLETED:
                raise decision.error or GroupFailed(f"{self.name}: {decision.status.value}")
        return join.finish()


def _as_result(name: str, output: Any) -> TaskResult:
    if isinstance(output, TaskResult):
        return output
    return TaskResult(name, name, TaskStatus.COMPLETED, output=output, attempts=1)


def _name_of(work: Work) -> str:
    if isinstance(work, Task):
        return work.name
    return f"fan out {work if isinstance(work, str) else getattr(work, '__name__', 'work')}"


def _branch(work: Work, name: str, item: Any) -> Task:
    """The atom of one item."""
    if isinstance(work, str):
        return Task(name, processor=work, input_data={"data": item})
    if isinstance(work, type) and issubclass(work, Task):
        work = work(name)
    if isinstance(work, Task):
        made = copy.copy(work)
        made.__dict__.pop("id", None)
        made.name = name
        names = made.signature().names
        if not names:
            raise InvalidTask(f"the work of a fan-out takes the item as its first argument; {work!r} takes none")
        made.inject = {**(made.inject or {}), names[0]: item}
        return made
    maker = getattr(work, "task", None)
    if isinstance(maker, Maker):
        made = maker(item)
        made.name = name
        return made
    if not callable(work):
        raise InvalidTask(f"the work of a fan-out is a Task subclass, a Task, a function or a role, not {work!r}")
    return FunctionTask(work, item, name=name)
