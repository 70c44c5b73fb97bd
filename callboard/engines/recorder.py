"""A run's journal, as its engine writes it: one transaction for each round, with every transition in it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from callboard.engines.values import Values
from callboard.flows.decision import Attempt
from callboard.flows.flow import Flow
from callboard.flows.plan import Kind
from callboard.flows.restoration import Resolution, Standing, resolution_of
from callboard.flows.state import AtomState, FlowStatus
from callboard.messages.errors import TaskFailed
from callboard.messages.failure import Failure
from callboard.state import (
    AtomChange,
    AtomRecord,
    FlowChange,
    Journal,
    RetryAttempt,
    RunChange,
    RunSnapshot,
    StoredValue,
    StoreValue,
    encode,
)

RESOLUTION = "resolution"
GROWTH = "growth:"
UNDECIDED = Resolution()
FIRST_VERSION = (1, 0)
"""That of whoever declares none, so that it need not be written."""
_S = AtomState
_PLAIN: Mapping[AtomState, str] = {state: state.value for state in AtomState}


class Recorder:
    """Turns transitions into changes of the journal. Values are encoded as they come, so that what cannot be stored
    is found out while its atom can still fail for it."""

    def __init__(self, journal: Journal, values: Values) -> None:
        self.journal = journal
        self.values = values
        self.changes: list[RunChange] = []
        self._results: dict[int, StoredValue] = {}
        self._revert_results: dict[int, StoredValue] = {}
        self._resolution = UNDECIDED

    def keep_result(self, node: int, result: Any) -> None:
        """Take the result of an atom that is about to complete. Raises `CannotStore`, naming the atom."""
        self._results[node] = encode(result, f"the result of atom {self.values.plan.nodes[node].name!r}")

    def keep_revert_result(self, node: int, result: Any) -> None:
        """Take what the revert of an atom gave. Raises `CannotStore`, naming the atom."""
        self._revert_results[node] = encode(result, f"the result of the revert of atom {self.values.plan.nodes[node].name!r}")

    def growth(self, node: int, flow: Flow | None) -> StoreValue:
        """What an atom made while the flow runs, as `keep_growth` takes it. Raises `CannotStore`, naming the atom."""
        name = self.values.plan.nodes[node].name
        return StoreValue(GROWTH + name, encode(flow, f"the flow that atom {name!r} made"))

    def keep_growth(self, growth: StoreValue) -> None:
        """Take what an atom made, so that it is there after a restart; or that it is gone again."""
        self.changes.append(growth)

    def status(self, status: FlowStatus) -> None:
        """Take a change of the flow itself."""
        self.changes.append(FlowChange(status.value))

    def progress(self, node: int, fraction: float) -> None:
        """Take how far an atom is; it is written with the next round."""
        self.changes.append(AtomChange(self.values.plan.nodes[node].name, progress=fraction))

    def waits_until(self, node: int, until: float | None) -> None:
        """Take until when (seconds since the epoch) an atom waits for its signal."""
        self.changes.append(AtomChange(self.values.plan.nodes[node].name, meta=encode(until, "a time")))

    def stage(self, transitions: Sequence[tuple[int, AtomState, AtomState]]) -> None:
        """Take transitions of atoms."""
        for node, old, new in transitions:
            self.changes.append(self._change(node, old, new))

    def commit(self) -> None:
        """Write everything that was taken, in one transaction."""
        machine = self.values.machine
        resolution = resolution_of(machine) if machine.all_reverting or machine.retries or machine.doomed else UNDECIDED
        if resolution is not self._resolution and resolution != self._resolution:
            self._resolution = resolution
            self.changes.append(StoreValue(RESOLUTION, encode([resolution.everything, resolution.retries, resolution.doomed], RESOLUTION)))
        if self.changes:
            changes, self.changes = self.changes, []
            self.journal.commit(changes)

    def _change(self, node: int, old: AtomState, new: AtomState) -> AtomChange:
        known = self.values.plan.nodes[node]
        state = _PLAIN[new]
        if new is _S.RUNNING or new is _S.WAITING:
            attempts = self.values.machine.attempts[node]
            version = getattr(known.task, "version", FIRST_VERSION)
            if version == FIRST_VERSION:
                return AtomChange(known.name, state=state, attempts=attempts)
            return AtomChange(known.name, state=state, attempts=attempts, version=version)
        if new is _S.COMPLETED:
            result = self._results.pop(node)
            if known.kind is Kind.RETRY:
                return AtomChange(known.name, state=state, result=result, failure=None, history=self._history(node))
            return AtomChange(known.name, state=state, result=result, failure=None)
        if new is _S.FAILED:
            attempts = self.values.machine.attempts[node]
            return AtomChange(known.name, state=state, attempts=attempts, failure=self.values.own(node))
        if new is _S.RETRYING and known.kind is Kind.TASK:
            attempts, tries = self.values.machine.attempts[node], self._tries(node)
            return AtomChange(known.name, state=state, attempts=attempts, failure=self.values.own(node), meta=tries)
        if new is _S.RETRYING:
            return AtomChange(known.name, state=state, history=self._history(node))
        if new is _S.REVERTED:
            given = self._revert_results.pop(node, None)
            if known.kind is Kind.RETRY:
                return AtomChange(known.name, state=state, result=None, history=())
            return AtomChange(known.name, state=state, result=None, revert_result=given)
        if new is _S.REVERT_FAILED:
            return AtomChange(known.name, state=state, revert_failure=self.values.revert_failures.get(node))
        if new is _S.PENDING and old is not _S.WAITING:
            return AtomChange(known.name, state=state, attempts=0, failure=None, revert_result=None, progress=0.0, meta=None)
        return AtomChange(known.name, state=state)

    def _tries(self, node: int) -> StoredValue | None:
        """How often an atom failed under its own policy, and since when (seconds since the epoch) it is tried."""
        count, began = self.values.tries.get(node, (0, 0.0))
        return encode([count, time.time() - (time.monotonic() - began)], "a time") if count else None

    def _history(self, node: int) -> list[RetryAttempt]:
        name = self.values.plan.nodes[node].name
        tries = self.values.attempts.get(node, [])
        return [RetryAttempt(value=encode(one.value, f"a value of {name!r}"), failures=dict(one.failures)) for one in tries]

    # -- reading it back ----------------------------------------------------------------------------

    def recall(self, snapshot: RunSnapshot) -> tuple[dict[str, Standing], Resolution]:
        """Fill the values from what was written, and say how everything stood."""
        values, standings = self.values, {}
        for name, record in snapshot.atoms.items():
            standings[name] = Standing(AtomState(record.state), record.attempts, record.failure is not None)
            node = values.plan.index.get(name)
            if node is None:
                continue
            if record.result is not None and record.state not in (_S.PENDING, _S.REVERTED):
                self._recall_result(node, record.result.load())
            if record.failure is not None:
                self._recall_failure(node, record)
            if record.meta is not None and record.state in (_S.RUNNING, _S.RETRYING):
                count, since = record.meta.load()
                values.tries[node] = (count, time.monotonic() - max(time.time() - since, 0.0))
            if record.revert_failure is not None:
                values.revert_failures[node] = record.revert_failure
            if record.history:
                values.attempts[node] = [Attempt(one.value.load(), dict(one.failures)) for one in record.history]
        for node in values.failures:
            values.blame(values.plan.nodes[node].controller, node)
        if RESOLUTION in snapshot.values:
            self._resolution = Resolution(*snapshot.values[RESOLUTION].load())
        return standings, self._resolution

    def _recall_result(self, node: int, result: Any) -> None:
        if node in self.values.plan.growth:
            self.values.put_promised(node, result)
        else:
            self.values.put(node, result)

    def _recall_failure(self, node: int, record: AtomRecord) -> None:
        assert record.failure is not None
        if record.state in (_S.RUNNING, _S.RETRYING, _S.PENDING):
            self.values.setbacks[node] = (as_error(record.failure), record.failure)
        else:
            self.values.failures[node] = record.failure
            self.values.errors[node] = as_error(record.failure)


def as_error(failure: Failure) -> BaseException:
    """The exception of a failure, or one that tells of it where it could not be carried."""
    return failure.exception() or TaskFailed(str(failure))


def growths(snapshot: RunSnapshot) -> dict[str, Flow]:
    """What atoms of a run made, by their names; in the order in which they made it where one made the other."""
    found = {name.removeprefix(GROWTH): value.load() for name, value in snapshot.values.items() if name.startswith(GROWTH)}
    return {name: flow for name, flow in found.items() if flow is not None}
