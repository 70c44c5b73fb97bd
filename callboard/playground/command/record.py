"""How the records of runs are shown, to people and to programs.

Values are shown in the form in which they are stored; looking at a run neither imports nor runs the code of its flow.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from callboard.messages.failure import Failure, shortened
from callboard.state import AtomRecord, FlowRecord, HistoryRow, StateManager, StoredValue

WIDTH = 60
"""Characters of a value that are shown in a table."""

_COLOURS = {
    "completed": "green",
    "failed": "red",
    "revert_failed": "red",
    "reverted": "yellow",
    "cancelled": "yellow",
    "running": "cyan",
    "reverting": "cyan",
    "waiting": "magenta",
    "suspended": "magenta",
}


# -- for people


def runs_table(runs: Sequence[FlowRecord]) -> Table:
    """A row for each run."""
    table = _table()
    table.add_column("run", overflow="fold")
    table.add_column("flow", overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("atoms", justify="right")
    for heading in ("begun", "changed"):
        table.add_column(heading, no_wrap=True)
    for run in runs:
        table.add_row(Text(run.id), Text(run.name), _state(run.status), str(len(run.atoms)), _when(run.created), _when(run.updated))
    return table


def detail_parts(state: StateManager, run_id: str) -> list[Text | Table]:
    """All about one run, to be printed one after the other. Raises `UnknownRecord`."""
    run, atoms, history = state.run(run_id), state.atoms(run_id), state.history(run_id)
    parts: list[Text | Table] = [_headline(run), _facts(run, state.said(run_id)), Text(), _atoms_table(atoms.values())]
    for name, failure in _failures(atoms):
        parts += [Text(), Text(f"{name}: {failure}", "bold red"), Text(failure.traceback.rstrip(), "dim")]
    return [*parts, Text(), _history_table(history)]


def _headline(run: FlowRecord) -> Text:
    return Text.assemble((run.id, "bold"), "  ", run.name, "  ", _state(run.status))


def _facts(run: FlowRecord, said: Mapping[str, StoredValue]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row("begun", _when(run.created))
    table.add_row("changed", _when(run.updated))
    if run.book is not None:
        table.add_row("book", Text(run.book))
    if run.factory is not None:
        table.add_row("factory", Text(run.factory.name))
        for what, value in (("args", run.factory.args), ("kwargs", run.factory.kwargs)):
            if json.loads(value.text):
                table.add_row("", _short(f"{what} {value.text}"))
    for heading, values in (("input", run.inputs), ("signal", said)):
        for name, value in values.items():
            table.add_row(heading, _short(f"{name} = {value.text}"))
    return table


def _atoms_table(atoms: Iterable[AtomRecord]) -> Table:
    table = _table()
    table.add_column("atom", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("attempts", justify="right")
    table.add_column("result", overflow="fold")
    for atom in atoms:
        table.add_row(Text(atom.name), _state(atom.state), str(atom.attempts), _short(_outcome(atom)))
    return table


def _outcome(atom: AtomRecord) -> str:
    failure = atom.revert_failure or atom.failure
    if failure is not None:
        return str(failure)
    if atom.result is not None:
        return atom.result.text
    return f"{atom.progress:.0%}" if atom.progress else ""


def _history_table(history: Sequence[HistoryRow]) -> Table:
    table = _table()
    table.add_column("time", no_wrap=True)
    table.add_column("of", overflow="fold")
    table.add_column("state", no_wrap=True)
    for row in history:
        who = Text("the flow", "bold") if row.atom is None else Text(row.atom)
        before = "" if row.old is None else f"{row.old} -> "
        table.add_row(_when(row.time, "milliseconds"), who, Text.assemble((before, "dim"), _state(row.new)))
    return table


def _table() -> Table:
    return Table(box=None, pad_edge=False)


def _state(state: str) -> Text:
    return Text(state, _COLOURS.get(state, ""))


def _short(text: str) -> Text:
    return Text(shortened(" ".join(text.split()), WIDTH))


def _when(seconds: float, precision: str = "seconds") -> str:
    return datetime.fromtimestamp(seconds).isoformat(" ", precision)


# -- for programs


def run_data(run: FlowRecord) -> dict[str, Any]:
    """The record of a run."""
    made = run.factory
    return {
        "id": run.id,
        "flow": run.name,
        "status": run.status,
        "created": run.created,
        "updated": run.updated,
        "book": run.book,
        "factory": None if made is None else {"name": made.name, "args": _tree(made.args), "kwargs": _tree(made.kwargs)},
        "inputs": {name: _tree(value) for name, value in run.inputs.items()},
        "meta": _tree(run.meta),
        "atoms": list(run.atoms),
    }


def detail_data(state: StateManager, run_id: str) -> dict[str, Any]:
    """All about one run. Raises `UnknownRecord`."""
    atoms = state.atoms(run_id)
    return run_data(state.run(run_id)) | {
        "atoms": [_atom_data(atom) for atom in atoms.values()],
        "failures": {name: _failure_data(atom.failure) for name, atom in atoms.items() if atom.failure},
        "revert_failures": {name: _failure_data(atom.revert_failure) for name, atom in atoms.items() if atom.revert_failure},
        "signals": {name: _tree(value) for name, value in state.said(run_id).items()},
        "history": [row.model_dump(exclude={"run_id", "details"}) | {"details": _tree(row.details)} for row in state.history(run_id)],
    }


def _atom_data(atom: AtomRecord) -> dict[str, Any]:
    data = atom.model_dump(include={"name", "state", "attempts", "progress", "version"})
    values = {"result": _tree(atom.result), "revert_result": _tree(atom.revert_result)}
    tries = [
        {"value": _tree(attempt.value), "failures": {name: _failure_data(failure) for name, failure in attempt.failures.items()}}
        for attempt in atom.history
    ]
    return data | values | {"tries": tries}


def _failure_data(failure: Failure) -> dict[str, Any]:
    return {"type": failure.type_name, "message": failure.message, "traceback": failure.traceback}


def _failures(atoms: Mapping[str, AtomRecord]) -> Iterator[tuple[str, Failure]]:
    for name, atom in atoms.items():
        if atom.failure is not None:
            yield name, atom.failure
        if atom.revert_failure is not None:
            yield f"{name} (revert)", atom.revert_failure


def _tree(value: StoredValue | None) -> Any:
    return None if value is None else json.loads(value.text)
