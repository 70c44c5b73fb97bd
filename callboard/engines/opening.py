"""How a run begins: a new one from a flow and its inputs, or one that its records tell of."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from callboard.engines.recorder import Recorder, as_error, growths
from callboard.engines.values import Values
from callboard.flows.compilation import compile_flow, compile_growth
from callboard.flows.composite import CompositeTask
from callboard.flows.flow import Flow, Item, LinearFlow
from callboard.flows.function import Maker
from callboard.flows.machine import FlowMachine
from callboard.flows.plan import Plan
from callboard.flows.restoration import restore
from callboard.flows.signal import WaitForSignal
from callboard.flows.state import AtomState, FlowStatus
from callboard.flows.task import Task
from callboard.messages.errors import CallboardError, InvalidFlow, InvalidSetting
from callboard.messages.task import fresh_id
from callboard.state import Factory, Journal, RunSnapshot, StateManager


class Opening:
    """What a run begins with. ``root`` is what was handed in, ``flow`` the flow that it is, or that was put around it."""

    def __init__(self, root: Any, inputs: Mapping[str, Any], manager: StateManager | None, run_id: str) -> None:
        self.root: Item = _item(root)
        self.flow = flow_of(self.root)
        self.inputs = inputs
        self.manager = manager
        self.run_id = run_id
        self.status = FlowStatus.PENDING
        self.plan: Plan = compile_flow(self.flow, inputs)
        self.waits: dict[str, float | None] = {}
        self.recorder: Recorder | None = None
        self.machine: FlowMachine
        self.values: Values
        self.problems: dict[str, BaseException] = {}
        self._snapshot: RunSnapshot | None = None

    @classmethod
    def new(
        cls, root: Any, inputs: Mapping[str, Any] | None, manager: StateManager | None, run_id: str | None, recorded: Mapping[str, Any]
    ) -> Opening:
        """A run of ``root``. ``recorded`` goes to `StateManager.begin`: the factory with its arguments, and the book."""
        if inputs is not None and not isinstance(inputs, Mapping):
            raise InvalidFlow(f"initial inputs are a dict of names and values, not {type(inputs).__name__}")
        for name in inputs or ():
            if not isinstance(name, str):
                raise InvalidFlow(f"the names of initial inputs are texts, not {name!r}")
        if run_id is not None and (not isinstance(run_id, str) or not run_id):
            raise InvalidSetting(f"run_id must be a text that is not empty, not {run_id!r}; leave it out for a fresh one")
        opening = cls(root, dict(inputs or {}), manager, run_id or fresh_id())
        opening._take_up()
        _check_factory(recorded)
        if manager is not None:
            journal = manager.begin(opening.run_id, opening.flow.name, inputs=opening.inputs, atoms=opening.plan.names(), **recorded)
            opening.recorder = Recorder(journal, opening.values)
        elif any(recorded.values()):
            raise InvalidSetting("a factory or a log book is kept in a state: give the executor one, such as state='sqlite:///runs.db'")
        return opening

    @classmethod
    def resumed(cls, manager: StateManager, run_id: str, root: Any = None) -> Opening:
        """A run that was begun before, of the same flow: ``root``, or what its factory makes. Raises `UnknownRecord`."""
        journal: Journal = manager.open(run_id)
        snapshot = journal.load()
        if root is None:
            root = build(snapshot.flow.factory, run_id)
        opening = cls(root, {name: value.load() for name, value in snapshot.flow.inputs.items()}, manager, run_id)
        opening._grow(growths(snapshot))
        opening._take_up()
        opening._snapshot = snapshot
        opening.status = _standing(FlowStatus(snapshot.flow.status))
        opening.waits = {
            name: record.meta.load()
            for name, record in snapshot.atoms.items()
            if record.state == AtomState.WAITING and record.meta is not None and isinstance(opening._task(name), WaitForSignal)
        }
        opening.recorder = Recorder(journal, opening.values)
        standings, resolution = opening.recorder.recall(snapshot)
        for number, failure in opening.values.revert_failures.items():
            opening.problems[f"revert of {opening.plan.nodes[number].name}"] = as_error(failure)
        restore(opening.machine, standings, resolution)
        return opening

    def begin(self) -> None:
        """Let the machine of a new run start; a resumed one goes on from where it was put."""
        if self._snapshot is None:
            self.machine.start()

    def ending(self, status: FlowStatus) -> FlowStatus:
        """A task that was run by itself and failed is FAILED, unless there was something to undo, and it was undone."""
        if status is FlowStatus.REVERTED and isinstance(self.root, Task):
            undone = any(node.revert is not None and self.machine.attempts[number] for number, node in self.plan.atoms())
            return status if undone else FlowStatus.FAILED
        return status

    def _take_up(self) -> None:
        self.machine = FlowMachine(self.plan)
        self.values = Values(self.machine, self.inputs)

    def _grow(self, made: dict[str, Flow]) -> None:
        # What one atom made may hold an atom that made more, so whoever is there by now goes first.
        while known := [name for name in made if name in self.plan.index]:
            for name in known:
                compile_growth(self.plan, self.plan.index[name], made.pop(name), self.inputs)

    def _task(self, name: str) -> Any:
        return self.plan.nodes[self.plan.index[name]].task if name in self.plan.index else None


def _item(root: Any) -> Item:
    maker = getattr(root, "task", None)
    if isinstance(maker, Maker):
        root = maker()
    if not isinstance(root, (Flow, Task)):
        raise InvalidFlow(f"what is executed is a flow or a task, not {root!r}")
    return root


def flow_of(root: Item) -> Flow:
    """The flow of what was handed in; a single task gets one of its own."""
    if isinstance(root, Flow):
        return root
    if isinstance(root, CompositeTask):
        return root.flow
    return LinearFlow(root.name).add(root)


def _standing(status: FlowStatus) -> FlowStatus:
    # Whoever drove it is gone: it is as good as suspended.
    return FlowStatus.SUSPENDED if status in (FlowStatus.RUNNING, FlowStatus.SUSPENDING) else status


def _check_factory(recorded: Mapping[str, Any]) -> None:
    if recorded.get("factory") is not None:
        find_factory(recorded["factory"])
    if isinstance(recorded["factory_args"], str) or not isinstance(recorded["factory_args"], Sequence):
        raise InvalidSetting(f"factory_args are the factory's arguments in a list or tuple, not {recorded['factory_args']!r}")
    if not isinstance(recorded["factory_kwargs"] or {}, Mapping):
        raise InvalidSetting(f"factory_kwargs are the factory's arguments by name, in a dict, not {recorded['factory_kwargs']!r}")


def find_factory(name: str) -> Callable[..., Any]:
    """The function that ``module:name`` names. Raises `InvalidSetting`."""
    if not isinstance(name, str):
        raise InvalidSetting(f"factory is the name of a function, written 'module:function', not {name!r}")
    module, _, qualname = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except Exception as error:  # the user's module may raise anything
        why = str(error) if isinstance(error, (ImportError, AttributeError, ValueError)) else _in_a_line(error)
        raise InvalidSetting(f"factory {name!r} cannot be imported: {why}; it is written 'module:function'") from error
    if not callable(found):
        raise InvalidSetting(f"factory {name!r} is no function, but {found!r}")
    function: Callable[..., Any] = found
    return function


def build(factory: Factory | None, run_id: str) -> Any:
    """The flow that a stored factory makes. Raises `InvalidFlow` where it raises, `InvalidSetting` where it is not there."""
    if factory is None:
        raise InvalidSetting(f"run {run_id!r} was begun without a factory; hand the flow to resume, or name a factory when it begins")
    args: Sequence[Any] = factory.args.load()
    kwargs: Mapping[str, Any] = factory.kwargs.load()
    make = find_factory(factory.name)
    try:
        return make(*args, **kwargs)
    except CallboardError:
        raise
    except Exception as error:  # the user's function
        raise InvalidFlow(f"factory {factory.name!r} made no flow: {_in_a_line(error)}") from error


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
