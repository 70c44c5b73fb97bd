"""From a flow to its plan. Everything that can be wrong with a flow is said here, before anything of it runs.

One walk over the flow lays out the nodes; what an atom needs and its own flow does not provide goes up to the flow
around, and so on. Time grows with the number of atoms, names and links, and with the depth of nesting.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from callboard.flows.annotation import check_types
from callboard.flows.binding import Binding, bind, places
from callboard.flows.collection import collection_paused
from callboard.flows.composite import CompositeTask
from callboard.flows.flow import Entry, Flow, LinearFlow
from callboard.flows.graph import GraphFlow
from callboard.flows.layout import Part, link_up, merge_linear, merge_unordered
from callboard.flows.plan import NOTHING, Call, Condition, Kind, Need, Plan
from callboard.flows.retry import Retry
from callboard.flows.signature import signature_of
from callboard.flows.task import Task
from callboard.messages.errors import CallboardError, DuplicateAtom, InvalidFlow, InvalidTask, MissingDependencies

MAX_NAME = 512
"""Bytes of UTF-8 that an atom's name may have, so that it fits into a store's key; a slash, a % and a NUL count for three."""

IDENTITY = "\0id:"
"""Before a task's id, the name under which those who depend on it find it; no person's name begins so."""


def compile_flow(flow: Flow, inputs: Collection[str] = ()) -> Plan:
    """Lay out ``flow``, whose run begins with ``inputs``. Raises `InvalidFlow` or `DependencyCycle`, saying what is wrong."""
    with collection_paused():
        plan = Plan(flow.name)
        part = _Compiler(plan).whole(flow, (), -1, -1)
        plan.root_exit = part.exit
        _check_needs(plan, part.needs, inputs)
        check_types(plan)
        plan.close()
    return plan


def compile_growth(plan: Plan, node: int, flow: Flow, inputs: Collection[str]) -> int:
    """Lay out ``flow`` behind ``node``, which made it while it ran, and return its ENTER. The plan is unchanged if it raises."""
    owner = plan.nodes[node]
    known = len(plan.nodes)
    prefixes = _prefixes_of(plan, node)
    try:
        part = _Compiler(plan).whole(flow, prefixes, owner.enter, owner.controller)
        _resolve_growth(plan, node, part)
        _check_needs(plan, part.needs, inputs)
    except CallboardError:
        plan.shrink(known)
        raise
    for behind in plan.after[node]:
        plan.edge(part.exit, behind)
    plan.edge(node, part.enter)
    plan.growth.setdefault(node, []).append(part.enter)
    return part.enter


class _Compiler:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def whole(self, flow: Flow, prefixes: tuple[str, ...], enclosing: int, controller: int) -> Part:
        """Lay out a flow with all that it holds."""
        try:
            return self.flow(flow, prefixes, enclosing, controller)
        except RecursionError:
            raise InvalidFlow(f"flow {flow.name!r} holds flows in flows too deep for Python's stack, or itself") from None

    def flow(self, flow: Flow, prefixes: tuple[str, ...], enclosing: int, controller: int) -> Part:
        """Lay out a flow between its ENTER and EXIT. ``prefixes`` are the namespaces around, the innermost first."""
        plan = self.plan
        if flow.namespace is not None:
            prefixes = ((prefixes[0] if prefixes else "") + flow.namespace + ".", *prefixes)
        enter = plan.new(Kind.ENTER, flow.name, None, enclosing, controller)
        head, own = enter, None
        if flow.retry is not None:
            own = self.controller(flow.retry, flow, prefixes, enter, controller)
            plan.edge(enter, own.enter)
            head = controller = own.enter
            plan.controllers[head] = enter
        children = [self.entry(entry, prefixes, enter, controller) for entry in flow.entries]
        part = Part(enter, -1)
        if isinstance(flow, GraphFlow):
            children = link_up(plan, flow, children, part)
        elif isinstance(flow, LinearFlow):
            merge_linear(children, part)
        else:
            merge_unordered(children, part)
        part.exit = plan.new(Kind.EXIT, flow.name, None, enclosing, controller)
        plan.regions[enter] = part.exit
        self.wire(flow, head, children, part.exit)
        if own is not None:
            part.under(own)
        return part

    def wire(self, flow: Flow, head: int, children: list[Part], exit: int) -> None:
        """Draw the edges between the head of a flow, its children and its EXIT."""
        plan = self.plan
        if isinstance(flow, LinearFlow):
            for child in children:
                plan.edge(head, child.enter)
                head = child.exit
            plan.edge(head, exit)
            return
        for child in children:
            if not plan.before[child.enter]:
                plan.edge(head, child.enter)
            if not plan.after[child.exit]:
                plan.edge(child.exit, exit)
        if not children:
            plan.edge(head, exit)

    def entry(self, entry: Entry, prefixes: tuple[str, ...], enter: int, controller: int) -> Part:
        if isinstance(entry.item, Flow):
            if not (entry.requires is entry.provides is entry.rebind is None):
                raise InvalidFlow(f"flow {entry.name!r} takes no requires, provides or rebind; its tasks do")
            part = self.flow(entry.item, prefixes, enter, controller)
        elif isinstance(entry.item, CompositeTask):
            part = self.composite(entry, entry.item, prefixes, enter, controller)
        else:
            part = self.task(entry, entry.item, prefixes, enter, controller)
        if entry.when is not None:
            binding = bind(signature_of(entry.when), None, None, None, f"when of {entry.name!r}")
            call = _call(part.enter, binding, prefixes)
            self.plan.nodes[part.enter].condition = Condition(entry.when, call)
            part.needs.extend(call.needs)
        return part

    def composite(self, entry: Entry, task: CompositeTask, prefixes: tuple[str, ...], enter: int, controller: int) -> Part:
        part = self.flow(task.flow, prefixes, enter, controller)
        taken = _first(entry.requires, entry.rebind, task.requires, task.rebind)
        given = _first(entry.provides, task.provides)
        prefix = prefixes[0] if prefixes else ""
        taken = taken if isinstance(taken, Mapping) else {}
        given = _renames(task, given)
        for inside in given:
            if prefix + inside not in part.provides:
                raise InvalidFlow(f"task {task.name!r} hands out {inside!r} under another name, but no part of it provides that")
        for inside in taken:
            if not any(prefix + inside in need.names for need in part.needs):
                raise InvalidFlow(f"task {task.name!r} takes in {inside!r} under another name, but no part of it needs that")
        part.rename(taken, given, prefix)
        for outside in given.values():
            if prefix + outside in part.provides:
                self.plan.aliases[prefix + outside] = part.provides[prefix + outside]
        _identify(self.plan, task, part)
        return part

    def task(self, entry: Entry, task: Task, prefixes: tuple[str, ...], enter: int, controller: int) -> Part:
        number = self.atom(Kind.TASK, task.name, task, prefixes, enter, controller)
        node = self.plan.nodes[number]
        label = f"task {node.name!r}"
        node.priority = task.priority
        requires = task.requires if entry.requires is None else entry.requires
        rebind = task.rebind if entry.rebind is None else entry.rebind
        signature = task.signature()
        if signature.nameless:
            raise InvalidTask(f"{label} takes {', '.join(signature.nameless)} by position alone, and in a flow inputs are given by name")
        binding = bind(signature, requires, rebind, _inject(task), label)
        node.call = _call(number, binding, prefixes)
        part = Part(number, number, [*node.call.needs])
        if task.reverts:
            node.revert = _revert_call(number, task, node.call, rebind if rebind is not None else requires, prefixes)
            part.needs.extend(need for need in node.revert.needs if need not in node.call.needs)
        provides = task.provides if entry.provides is None else entry.provides
        node.places = places(provides)
        if prefixes:
            node.places = tuple((prefixes[0] + name, place) for name, place in node.places)
        part.provide(number, [name for name, _ in node.places])
        for task_id in task.dependencies:
            part.needs.append(Need(number, IDENTITY + task_id, (IDENTITY + task_id,), True))
        _identify(self.plan, task, part)
        return part

    def controller(self, retry: Retry, flow: Flow, prefixes: tuple[str, ...], enter: int, controller: int) -> Part:
        number = self.atom(Kind.RETRY, retry.name or f"{flow.name}_retry", retry, prefixes, enter, controller)
        node, kind = self.plan.nodes[number], type(retry)
        node.call = _call(number, retry.binding_of(kind.execute), prefixes)
        node.on_failure = _call(number, retry.binding_of(kind.on_failure), prefixes)
        node.revert = _call(number, retry.binding_of(kind.revert), prefixes) if kind.revert is not Retry.revert else None
        prefix = prefixes[0] if prefixes else ""
        node.places = tuple((prefix + name, place) for name, place in places(retry.provides))
        calls = (node.call, node.on_failure, node.revert or NOTHING)
        part = Part(number, number, [need for call in calls for need in call.needs])
        part.provide(number, (name for name, _ in node.places))
        return part

    def atom(self, kind: Kind, name: str, item: Task | Retry, prefixes: tuple[str, ...], enter: int, controller: int) -> int:
        plan = self.plan
        full = (prefixes[0] if prefixes else "") + name
        if len(full) > MAX_NAME // 3 or not full.isascii():
            _check_name(full)
        if full in plan.index:
            raise DuplicateAtom(f"two atoms of flow {plan.name!r} are called {full!r}; give one another name, or its flow a namespace")
        number = plan.new(kind, full, item, enter, controller)
        plan.index[full] = number
        return number


def _renames(task: CompositeTask, given: Any) -> Mapping[str, str]:
    if given is None or isinstance(given, Mapping):
        return given or {}
    raise InvalidFlow(f"provides of task {task.name!r}, which is made of tasks, is {{name inside: name outside}}, not {given!r}")


def _check_name(name: str) -> None:
    try:
        size = len(name.encode()) + 2 * sum(map(name.count, "/%\0"))
    except UnicodeEncodeError as error:
        raise InvalidFlow(f"an atom is called {name!r}, which is no text that UTF-8 can encode") from error
    if size > MAX_NAME:
        raise InvalidFlow(f"the name of an atom has {MAX_NAME} bytes at most, with its namespaces; {name[:80]!r} has {size}")


def _first(*declared: Any) -> Any:
    return next((value for value in declared if value is not None), None)


def _inject(task: Task) -> Mapping[str, Any] | None:
    # A task's own input is there as a constant, for an argument that asks for it by name.
    if not task.input_data or not task.carries_code:
        return task.inject
    names = task.signature()
    own = {name: value for name, value in task.input_data.items() if names.open or name in names.names}
    return {**own, **(task.inject or {})}


def _call(number: int, binding: Binding, prefixes: tuple[str, ...]) -> Call:
    needs = [Need(number, argument, _spellings(name, prefixes), True) for argument, name in binding.required.items()]
    needs += [Need(number, argument, _spellings(name, prefixes), False) for argument, name in binding.optional.items()]
    return Call(binding.constants, tuple(needs)) if needs or binding.constants else NOTHING


def _spellings(name: str, prefixes: tuple[str, ...]) -> tuple[str, ...]:
    return (*(prefix + name for prefix in prefixes), name) if prefixes else (name,)


def _revert_call(number: int, task: Task, call: Call, rebind: Any, prefixes: tuple[str, ...]) -> Call:
    """What ``revert`` is called with: the inputs of ``execute`` that it takes, and those that it alone asks for."""
    signature = task.revert_signature()
    known = {need.argument: need for need in call.needs}
    renamed = rebind if isinstance(rebind, Mapping) else {}
    needs = dict(known) if signature.open else {}
    for names, required in ((signature.required, True), (signature.optional, False)):
        for argument in names:
            if argument not in ("result", "flow_failures") and argument not in call.constants:
                own = Need(number, argument, _spellings(renamed.get(argument, argument), prefixes), required)
                needs[argument] = known.get(argument, own)
    constants = {name: value for name, value in call.constants.items() if signature.open or name in signature.names}
    return Call(constants, tuple(needs.values()))


def _identify(plan: Plan, task: Task, part: Part) -> None:
    # An id is made when somebody asks for it: where nobody did, nobody depends on the task.
    if "id" in task.__dict__:
        part.provide(part.exit, (IDENTITY + str(task.id),))
        plan.ids[str(task.id)] = part.exit


def _prefixes_of(plan: Plan, node: int) -> tuple[str, ...]:
    name, task = plan.nodes[node].name, plan.nodes[node].task
    prefix = name[: len(name) - len(task.name)] if isinstance(task, Task) else ""
    parts = prefix.split(".")[:-1]
    return tuple(".".join(parts[:count]) + "." for count in range(len(parts), 0, -1))


def _resolve_growth(plan: Plan, node: int, part: Part) -> None:
    """New atoms find what their maker found and what it provides."""
    owner = plan.nodes[node]
    maker = Part(node, node)
    maker.provide(node, (name for name, _ in owner.places))
    for need in part.needs:
        maker.answer(need)
        for known in owner.call.needs:
            if set(known.names) & set(need.names):
                need.sources.extend(known.sources)


def _check_needs(plan: Plan, needs: Iterable[Need], inputs: Collection[str]) -> None:
    missing: dict[str, list[str]] = {}
    for need in needs:
        need.given = any(name in inputs for name in need.names)
        if need.required and not need.sources and not need.given:
            name = need.names[-1]
            if name.startswith(IDENTITY):
                atom, wanted = plan.nodes[need.node].name, name.removeprefix(IDENTITY)
                raise InvalidFlow(f"task {atom!r} depends on task {wanted!r}, which does not come before it in the flow")
            missing.setdefault(plan.nodes[need.node].name, []).append(name)
    if missing:
        told = "; ".join(f"{atom!r} needs {', '.join(map(repr, names))}" for atom, names in missing.items())
        raise MissingDependencies(f"nothing before it in flow {plan.name!r} provides it, nor the initial inputs: {told}", missing)
