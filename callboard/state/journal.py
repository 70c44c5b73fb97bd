"""The journal of one run: an engine writes every round's changes into it in one transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from pydantic_core import to_json

from callboard.messages.errors import UnknownRecord, VersionConflict
from callboard.messages.failure import Failure
from callboard.state.change import AtomChange, FlowChange, RunChange, StoreValue
from callboard.state.layout import (
    head_key,
    history_part,
    lines_of,
    parse_head,
    part,
    read_atom,
    read_flow,
    read_lines,
    run_key,
    whole,
    write_attempts,
    write_flow,
)
from callboard.state.record import PENDING, AtomRecord, FlowRecord, RunSnapshot
from callboard.state.store import ABSENT, Put, Store
from callboard.state.value import StoredValue

_Header = dict[str, Any]
"""An atom's small fields: never changed, but replaced."""
_Held = dict[str, str]
"""The values that an atom's record holds, as texts: never changed, but replaced."""


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
        self._prefix = run_key(run_id)
        self._head_key = head_key(run_id)
        self._head: dict[str, Any] = {}
        self._version = ABSENT
        self._atoms: dict[str, _Header] | None = None
        self._held: dict[str, _Held] = {}

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
                Put(self._head_key, to_json(head), ABSENT),
                Put(self._prefix + "flow", write_flow(flow), ABSENT),
                Put(self._prefix + history_part(1), to_json([1, flow.created, [(None, None, flow.status, None)]])),
            ]
            try:
                self._version = self._store.transact(first)
            except VersionConflict as error:
                raise VersionConflict(f"run {self.run_id!r} has begun already; resume it, or choose another id") from error
            self._head = head
            self._atoms, self._held = {}, {}

    def load(self) -> RunSnapshot:
        """Read the run anew, and write on from there. Raises `UnknownRecord` where there is no such run."""
        with self._lock:
            # The head is read first: whatever else is written meanwhile makes the next commit a conflict.
            self._head, self._version = read_head(self._store, self.run_id)
            flow = read_run(self._store, self.run_id, self._head)
            records = read_parts(self._store, self.run_id, "atom")
            values = read_parts(self._store, self.run_id, "value")
            known = {name: read_lines(data) for name, data in records.items()}
            self._atoms = {name: header for name, (header, _) in known.items()}
            self._held = {name: held for name, (_, held) in known.items()}
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
            headers: dict[str, _Header] = {}
            held: dict[str, _Held] = {}
            values: dict[str, StoredValue] = {}
            rows: list[_Row] = []
            head = {**self._head, "updated": now}
            for change in changes:
                if type(change) is AtomChange:
                    self._stage(change, headers, held, rows)
                elif type(change) is FlowChange:
                    rows.append((None, head["status"], change.status, _text(change.details)))
                    head["status"] = change.status
                elif type(change) is StoreValue:
                    values[change.name] = change.value
            prefix = self._prefix
            puts = [Put(f"{prefix}value/{part(name)}", value.text.encode()) for name, value in values.items()]
            puts += [Put(f"{prefix}atom/{part(name)}", lines_of(header, held[name])) for name, header in headers.items()]
            if rows:
                first = head["sequence"] + 1
                head["sequence"] += len(rows)
                puts.append(Put(prefix + history_part(first), to_json((first, now, rows))))
            puts.append(Put(self._head_key, to_json(head), self._version))
            try:
                self._version = self._store.transact(puts)
            except VersionConflict as error:
                raise VersionConflict(
                    f"run {self.run_id!r} was taken up by somebody else, or deleted, since it was read here; nothing was written"
                ) from error
            self._head = head
            assert self._atoms is not None
            self._atoms.update(headers)
            self._held.update(held)

    def _stage(self, change: AtomChange, headers: dict[str, _Header], held: dict[str, _Held], rows: list[_Row]) -> None:
        assert self._atoms is not None
        name = change.name
        known = headers.get(name) or self._atoms.get(name) or {"name": name, "state": PENDING}
        header = known.copy()
        values = held.get(name) or self._held.get(name) or _NOTHING
        for field, value in change.fields.items():
            if field in _SMALL:
                header[field] = value
            elif value is not None:
                values = {**values, field: _WRITERS[field](value)}
            elif field in values:
                values = {held: text for held, text in values.items() if held != field}
        headers[name] = header
        held[name] = values
        old, new = known["state"], header["state"]
        if new != old or change.details is not None:
            rows.append((name, old, new, _text(change.details)))


_Row = tuple[str | None, str | None, str, str | None]
_NOTHING: _Held = {}
_SMALL = frozenset({"state", "attempts", "progress", "version"})
_WRITERS: dict[str, Callable[[Any], str]] = {
    "result": attrgetter("text"),
    "revert_result": attrgetter("text"),
    "meta": attrgetter("text"),
    "failure": Failure.model_dump_json,
    "revert_failure": Failure.model_dump_json,
    "history": write_attempts,
}
"""How the text of each value of a record is made."""


def _text(value: StoredValue | None) -> str | None:
    return None if value is None else value.text


def read_head(store: Store, run_id: str) -> tuple[dict[str, Any], int]:
    """The head of a run and its version. Raises `UnknownRecord` where there is no such run."""
    record = store.get(head_key(run_id)) if isinstance(run_id, str) else None
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
