"""The journal of one run: an engine writes every round's changes into it in one transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from callboard.messages.errors import UnknownRecord, VersionConflict
from callboard.state.change import KEEP, AtomChange, FlowChange, RunChange
from callboard.state.layout import (
    head_key,
    history_key,
    lines_of,
    parse_head,
    part,
    read_atom,
    read_flow,
    read_lines,
    run_key,
    to_json,
    whole,
    write_attempts,
    write_flow,
)
from callboard.state.record import PENDING, AtomRecord, FlowRecord, RunSnapshot
from callboard.state.store import ABSENT, Put, Store
from callboard.state.value import StoredValue


class _Atom(NamedTuple):
    """An atom's record in the two halves of which its bytes are made."""

    header: dict[str, Any]
    values: dict[str, str]


class Journal:
    """Reads and writes one run. Made by `StateManager.begin` and `StateManager.open`. Thread-safe.

    Every write is fenced by the version of the run's head: of two engines that opened the same run, the one that
    writes second gets `VersionConflict`, now and for every later write, until it calls `load`. After any other
    `StoreError` it is not known whether the last commit happened: `load` tells.
    """

    def __init__(self, store: Store, run_id: str, clock: Callable[[], float]) -> None:
        self.run_id = run_id
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._atom_prefix = run_key(run_id, "atom/")
        self._head: dict[str, Any] = {}
        self._version = ABSENT
        self._atoms: dict[str, _Atom] | None = None

    def begin(self, flow: FlowRecord) -> None:
        """Write the first records of a run. Raises `VersionConflict` where the run has begun already."""
        head = {
            "name": flow.name,
            "book": flow.book,
            "status": flow.status,
            "created": flow.created,
            "updated": flow.created,
            "sequence": 1,
        }
        with self._lock:
            first = [
                Put(head_key(self.run_id), to_json(head).encode(), ABSENT),
                Put(run_key(self.run_id, "flow"), write_flow(flow), ABSENT),
                Put(history_key(self.run_id, 1), _history(1, flow.created, [(None, None, flow.status, None)])),
            ]
            try:
                self._version = self._store.transact(first)
            except VersionConflict as error:
                raise VersionConflict(f"run {self.run_id!r} has begun already; resume it, or choose another id") from error
            self._head = head
            self._atoms = {}

    def load(self) -> RunSnapshot:
        """Read the run anew, and write on from there. Raises `UnknownRecord` where there is no such run."""
        with self._lock:
            # The head is read first: whatever else is written meanwhile makes the next commit a conflict.
            self._head, self._version = read_head(self._store, self.run_id)
            flow = read_run(self._store, self.run_id, self._head)
            records = read_parts(self._store, self.run_id, "atom")
            values = read_parts(self._store, self.run_id, "value")
            self._atoms = {name: _Atom(*read_lines(data)) for name, data in records.items()}
        atoms = {name: AtomRecord(run_id=self.run_id, name=name) for name in flow.atoms}
        atoms |= {name: read_atom(self.run_id, data) for name, data in records.items()}
        return RunSnapshot(flow, atoms, {name: StoredValue(data.decode()) for name, data in values.items()})

    def commit(self, changes: Sequence[RunChange]) -> None:
        """Write all changes and their rows of history in one transaction; none of them where it raises.

        Raises `VersionConflict` where another engine has written since, or the run was deleted.
        """
        if self._atoms is None:
            self.load()
        with self._lock:
            now = self._clock()
            staged: dict[str, _Atom] = {}
            values: dict[str, StoredValue] = {}
            rows: list[_Row] = []
            head = {**self._head, "updated": now}
            for change in changes:
                if isinstance(change, AtomChange):
                    self._stage(change, staged, rows)
                elif isinstance(change, FlowChange):
                    rows.append((None, head["status"], change.status, _text(change.details)))
                    head["status"] = change.status
                else:
                    values[change.name] = change.value
            puts = [Put(run_key(self.run_id, f"value/{part(name)}"), value.text.encode()) for name, value in values.items()]
            puts += [Put(self._atom_prefix + part(name), lines_of(*atom)) for name, atom in staged.items()]
            if rows:
                first = head["sequence"] + 1
                head["sequence"] += len(rows)
                puts.append(Put(history_key(self.run_id, first), _history(first, now, rows)))
            puts.append(Put(head_key(self.run_id), to_json(head).encode(), self._version))
            try:
                self._version = self._store.transact(puts)
            except VersionConflict as error:
                raise VersionConflict(
                    f"run {self.run_id!r} was taken up by somebody else, or deleted, since it was read here; nothing was written"
                ) from error
            self._head = head
            assert self._atoms is not None
            self._atoms.update(staged)

    def _stage(self, change: AtomChange, staged: dict[str, _Atom], rows: list[_Row]) -> None:
        assert self._atoms is not None
        known = staged.get(change.name) or self._atoms.get(change.name)
        header = dict(known.header) if known else {"name": change.name, "state": PENDING}
        values = dict(known.values) if known else {}
        old = header["state"]
        _set_fields(change, header)
        _set_values(change, values)
        staged[change.name] = _Atom(header, values)
        if header["state"] != old or change.details is not None:
            rows.append((change.name, old, header["state"], _text(change.details)))


_Row = tuple[str | None, str | None, str, str | None]


def _history(first: int, now: float, rows: list[_Row]) -> bytes:
    return to_json([first, now, rows]).encode()


def _text(value: StoredValue | None) -> str | None:
    return None if value is None else value.text


def _set_fields(change: AtomChange, header: dict[str, Any]) -> None:
    for name, value in (
        ("state", change.state),
        ("intention", change.intention),
        ("attempts", change.attempts),
        ("progress", change.progress),
        ("version", change.version),
    ):
        if value is not KEEP:
            header[name] = value


def _set_values(change: AtomChange, values: dict[str, str]) -> None:
    for name, value in (("result", change.result), ("revert_result", change.revert_result), ("meta", change.meta)):
        if value is None:
            values.pop(name, None)
        elif value is not KEEP:
            values[name] = value.text
    for name, failure in (("failure", change.failure), ("revert_failure", change.revert_failure)):
        if failure is None:
            values.pop(name, None)
        elif failure is not KEEP:
            values[name] = failure.model_dump_json()
    if change.history is not KEEP:
        values["history"] = write_attempts(change.history)


def read_head(store: Store, run_id: str) -> tuple[dict[str, Any], int]:
    """The head of a run and its version. Raises `UnknownRecord` where there is no such run."""
    record = store.get(head_key(run_id))
    if record is None:
        raise UnknownRecord("run", run_id)
    return parse_head(record.value), record.version


def read_parts(store: Store, run_id: str, kind: str) -> dict[str, bytes]:
    """The records of a run of one kind (atom, value, signal), by name."""
    prefix = run_key(run_id, f"{kind}/")
    return {whole(record.key[len(prefix) :]): record.value for record in store.scan(prefix)}


def read_run(store: Store, run_id: str, head: dict[str, Any]) -> FlowRecord:
    """The flow record of a run whose head is known."""
    record = store.get(run_key(run_id, "flow"))
    if record is None:  # deleted since its head was read
        raise UnknownRecord("run", run_id)
    return read_flow(run_id, head, record.value)
