"""What a person and an engine hold of the place where state is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from callboard.messages.errors import CannotStore, InvalidSetting, UnknownRecord, VersionConflict
from callboard.messages.failure import Failure
from callboard.messages.task import fresh_id
from callboard.state.address import open_store
from callboard.state.crash import with_crash_point
from callboard.state.journal import Journal, read_head, read_parts, read_run
from callboard.state.layout import book_key, head_key, parse_head, part, read_atom, read_book, read_history, run_key, whole, write_book
from callboard.state.named import ATTEMPTS, NamedStates
from callboard.state.record import PENDING, AtomRecord, Factory, FlowRecord, HistoryRow, LogBook, Saved
from callboard.state.store import ABSENT, Delete, Store
from callboard.state.value import StoredValue, encode

MAX_RUN_ID = 200
"""Bytes of UTF-8 that the id of a run may have, so that there is room for names of atoms behind it in a key."""


class StateManager:
    """Named states with their versions, and the log book of flows: runs, their atoms, their history and signals.

    ``store`` is a `Store` or the URL of one (see `open_store`); a store that was opened here is closed by `close`.
    ``clock`` gives seconds since the epoch. Thread-safe. All methods may raise `StoreUnavailable`.
    """

    def __init__(self, store: Store | str = "memory:", *, clock: Callable[[], float] = time.time) -> None:
        self._owned = isinstance(store, str)
        self.store = with_crash_point(open_store(store) if isinstance(store, str) else store)
        self._clock = clock
        self._named = NamedStates(self.store, clock)

    def close(self) -> None:
        """Close the store where it was opened here."""
        if self._owned:
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # -- named states

    def save(self, name: str, value: Any, expected: int | None = None) -> int:
        """Keep ``value`` as the next version of ``name`` and return its number, from 1.

        With ``expected``, only if that is the newest version now (0: none yet), else `VersionConflict`. Raises
        `CannotStore` where the value would not come back as it is. The last 100 versions are kept.
        """
        return self._named.save(name, value, expected)

    def load(self, name: str, version: int | None = None) -> Any:
        """The newest value of ``name``, or that of one version. Raises `UnknownRecord`."""
        return self._named.load(name, version).load()

    def versions(self, name: str) -> list[Saved]:
        """The kept versions of ``name``, oldest first; empty where there is none."""
        return self._named.versions(name)

    def names(self, prefix: str = "") -> list[str]:
        """The names of the states that begin with ``prefix``, sorted."""
        return self._named.names(prefix)

    def forget(self, name: str) -> bool:
        """Remove a state with all its versions; whether there was one."""
        return self._named.forget(name)

    # -- log books

    def add_book(self, name: str, meta: Any = None) -> LogBook:
        """Make a log book with an id of its own."""
        book = LogBook(id=fresh_id(), name=name, meta=encode(meta, f"meta of log book {name!r}"), created=self._clock())
        self.store.put(book_key(book.id), write_book(book), ABSENT)
        return book

    def book(self, book_id: str) -> LogBook:
        """The log book of an id. Raises `UnknownRecord`."""
        record = self.store.get(book_key(book_id))
        if record is None:
            raise UnknownRecord("log book", book_id)
        return read_book(record.value)

    def books(self) -> list[LogBook]:
        """All log books, the oldest first."""
        return sorted((read_book(record.value) for record in self.store.scan("book/")), key=lambda book: book.created)

    # -- runs

    def begin(
        self,
        run_id: str,
        flow_name: str,
        *,
        factory: str | None = None,
        factory_args: Sequence[Any] = (),
        factory_kwargs: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
        book: str | None = None,
        atoms: Sequence[str] = (),
        meta: Any = None,
    ) -> Journal:
        """Write that a run has begun, PENDING, and return its journal. ``factory`` is ``"module:name"``, ``book`` an id.

        Raises `VersionConflict` where a run of this id has begun already, `CannotStore` naming the input that would not
        come back as it is, `UnknownRecord` for a book that is not there.
        """
        if book is not None:
            self.book(book)
        if len(run_id.encode(errors="replace")) > MAX_RUN_ID:
            raise CannotStore(f"the id of a run has {MAX_RUN_ID} bytes at most; {run_id[:40]!r}... has more")
        flow = FlowRecord(
            id=run_id,
            name=flow_name,
            book=book,
            status=PENDING,
            factory=None if factory is None else _factory(factory, factory_args, factory_kwargs or {}),
            inputs={name: encode(value, f"input {name!r} of flow {flow_name!r}") for name, value in (inputs or {}).items()},
            atoms=tuple(atoms),
            meta=encode(meta, f"meta of flow {flow_name!r}"),
            created=(now := self._clock()),
            updated=now,
        )
        journal = Journal(self.store, run_id, self._clock)
        journal.begin(flow)
        return journal

    def open(self, run_id: str) -> Journal:
        """The journal of a run that has begun, read by its ``load``. Raises `UnknownRecord`."""
        read_head(self.store, run_id)
        return Journal(self.store, run_id, self._clock)

    def run(self, run_id: str) -> FlowRecord:
        """The flow record of a run. Raises `UnknownRecord`."""
        head, _ = read_head(self.store, run_id)
        return read_run(self.store, run_id, head)

    def runs(self, *, status: str | None = None, name: str | None = None, book: str | None = None) -> list[FlowRecord]:
        """The runs of this status, this flow's name and this book, the oldest first."""
        found = []
        for record in self.store.scan("head/"):
            head = parse_head(record.value)
            if status in (None, head["status"]) and name in (None, head["name"]) and book in (None, head["book"]):
                try:
                    found.append(read_run(self.store, whole(record.key.removeprefix("head/")), head))
                except UnknownRecord:  # deleted since
                    continue
        return sorted(found, key=lambda flow: flow.created)

    def atoms(self, run_id: str) -> dict[str, AtomRecord]:
        """The atoms of a run by name: those it began with in their order, then those that came later."""
        flow = self.run(run_id)
        atoms = {name: AtomRecord(run_id=run_id, name=name) for name in flow.atoms}
        return atoms | {name: read_atom(run_id, data) for name, data in read_parts(self.store, run_id, "atom").items()}

    def states(self, run_id: str) -> dict[str, str]:
        """The state of every atom of a run. Raises `UnknownRecord`, as all questions about a run do."""
        return {name: atom.state for name, atom in self.atoms(run_id).items()}

    def failures(self, run_id: str) -> dict[str, Failure]:
        """The failures of the atoms that stand failed now, by name."""
        return {name: atom.failure for name, atom in self.atoms(run_id).items() if atom.failure is not None}

    def revert_failures(self, run_id: str) -> dict[str, Failure]:
        """The failures of the atoms whose revert failed, by name."""
        return {name: atom.revert_failure for name, atom in self.atoms(run_id).items() if atom.revert_failure is not None}

    def history(self, run_id: str) -> list[HistoryRow]:
        """All changes of state of a run and its atoms, in the order in which they were written."""
        read_head(self.store, run_id)
        return [row for record in self.store.scan(run_key(run_id, "history/")) for row in read_history(run_id, record.value)]

    # -- signals

    def signal(self, run_id: str, name: str, value: Any = None) -> None:
        """Say something to a run, such as a person's approval; its engine finds it in `signals`. Said again, it replaces.

        Raises `CannotStore` naming the signal.
        """
        if not isinstance(name, str) or not name:
            raise InvalidSetting(f"a signal has a name, which is a text that is not empty, not {name!r}")
        stored = encode(value, f"signal {name!r}")
        read_head(self.store, run_id)
        self.store.put(run_key(run_id, f"signal/{part(name)}"), stored.text.encode())

    def signals(self, run_id: str) -> dict[str, Any]:
        """What was said to a run, by name."""
        return {name: value.load() for name, value in self.said(run_id).items()}

    def said(self, run_id: str) -> dict[str, StoredValue]:
        """The same as `signals`, in its stored form, for those who only show it."""
        read_head(self.store, run_id)
        return {name: StoredValue(data.decode()) for name, data in read_parts(self.store, run_id, "signal").items()}

    def delete(self, run_id: str) -> bool:
        """Remove a run with its atoms, history and signals; whether there was one. An engine at work on it is fenced off."""
        for _ in range(ATTEMPTS):
            head = self.store.get(head_key(run_id))
            if head is None:
                return False
            parts = [Delete(record.key) for record in self.store.scan(run_key(run_id))]
            try:
                self.store.transact([Delete(head.key, head.version), *parts])
            except VersionConflict:  # its engine wrote meanwhile
                continue
            return True
        raise VersionConflict(f"run {run_id!r} changes too fast to be deleted; suspend it first")


def _factory(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Factory:
    return Factory(
        name=name,
        args=encode(list(args), f"arguments of factory {name!r}"),
        kwargs=encode(dict(kwargs), f"arguments of factory {name!r}"),
    )
