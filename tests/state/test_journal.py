"""What an engine writes into the journal of a run, and reads from it."""

from __future__ import annotations

import pytest

from callboard.messages.errors import UnknownRecord, VersionConflict
from callboard.messages.failure import Failure
from callboard.state.change import AtomChange, FlowChange, StoreValue
from callboard.state.manager import StateManager
from callboard.state.record import RetryAttempt
from callboard.state.store import Delete, Store
from callboard.state.value import encode

FAILURE = Failure.of(ValueError("bad\nnews \u2028 here"))


@pytest.fixture
def manager(store: Store) -> StateManager:
    return StateManager(store, clock=lambda: 1000.0)


def test_every_field_comes_back(manager: StateManager) -> None:
    journal = manager.begin("r", "ingest", atoms=["a", "b"])
    history = [
        RetryAttempt(value=encode((1, 2), "v"), failures={"a": FAILURE}),
        RetryAttempt(value=encode(None, "v"), failures={}),
    ]
    journal.commit(
        [
            AtomChange(
                "a",
                state="reverted",
                attempts=3,
                progress=0.5,
                version=(2, 1),
                result=encode({"x": (1,)}, "r"),
                failure=FAILURE,
                revert_result=encode(None, "r"),
                revert_failure=FAILURE,
                history=history,
                meta=encode({"duration": 1.5}, "m"),
            )
        ]
    )
    atom = manager.open("r").load().atoms["a"]
    assert (atom.run_id, atom.name, atom.state, atom.attempts) == ("r", "a", "reverted", 3)
    assert (atom.progress, atom.version) == (0.5, (2, 1))
    assert atom.result is not None and atom.result.load() == {"x": (1,)}
    assert atom.revert_result is not None and atom.revert_result.load() is None
    assert atom.meta is not None and atom.meta.load() == {"duration": 1.5}
    assert (atom.failure, atom.revert_failure, atom.history) == (FAILURE, FAILURE, tuple(history))
    untouched = manager.open("r").load().atoms["b"]
    assert (untouched.state, untouched.result, untouched.history) == ("pending", None, ())


def test_what_is_not_given_stays_and_none_clears(manager: StateManager) -> None:
    journal = manager.begin("r", "ingest")
    journal.commit([AtomChange("a", state="completed", attempts=1, result=encode(1, "r"), failure=FAILURE)])
    journal.commit([AtomChange("a", state="reverting")])
    atom = journal.load().atoms["a"]
    assert (atom.state, atom.attempts, atom.failure) == ("reverting", 1, FAILURE)
    assert atom.result is not None
    journal.commit([AtomChange("a", state="pending", result=None, failure=None)])
    atom = journal.load().atoms["a"]
    assert (atom.state, atom.attempts, atom.result, atom.failure) == ("pending", 1, None, None)


def test_a_journal_that_was_opened_keeps_what_stood_there(manager: StateManager) -> None:
    manager.begin("r", "ingest").commit([AtomChange("a", state="completed", result=encode(1, "r"))])
    manager.open("r").commit([AtomChange("a", state="reverting")])
    atom = manager.atoms("r")["a"]
    assert atom.state == "reverting" and atom.result is not None


def test_the_history_tells_all_in_order(manager: StateManager) -> None:
    journal = manager.begin("r", "ingest", atoms=["a"])
    journal.commit([FlowChange("running", details=encode({"by": "ada"}, "d")), AtomChange("a", state="running")])
    journal.commit([AtomChange("a", progress=0.5)])
    journal.commit([AtomChange("a", state="failed"), AtomChange("a", state="reverting", details=encode({"why": (1,)}, "d"))])
    journal.commit([AtomChange("a", details=encode("still", "d"))])
    rows = manager.history("r")
    assert [(row.sequence, row.atom, row.old, row.new) for row in rows] == [
        (1, None, None, "pending"),
        (2, None, "pending", "running"),
        (3, "a", "pending", "running"),
        (4, "a", "running", "failed"),
        (5, "a", "failed", "reverting"),
        (6, "a", "reverting", "reverting"),
    ]
    assert [row.details.load() if row.details else None for row in rows] == [None, {"by": "ada"}, None, None, {"why": (1,)}, "still"]
    assert {(row.run_id, row.time) for row in rows} == {("r", 1000.0)}


def test_the_history_stays_in_order_past_round_numbers(manager: StateManager) -> None:
    journal = manager.begin("r", "ingest")
    for number in range(120):
        journal.commit([AtomChange("a", state=f"s{number}")])
    assert [row.sequence for row in manager.history("r")] == list(range(1, 122))
    assert manager.history("r")[-1].new == "s119"


def test_values_beside_the_run(manager: StateManager) -> None:
    journal = manager.begin("r", "ingest")
    journal.commit([StoreValue("a/b", encode((1,), "v")), StoreValue("c", encode(1, "v")), StoreValue("c", encode(2, "v"))])
    assert {name: value.load() for name, value in journal.load().values.items()} == {"a/b": (1,), "c": 2}


def test_of_two_engines_the_second_loses(manager: StateManager) -> None:
    manager.begin("r", "ingest", atoms=["a", "b"])
    first, second = manager.open("r"), manager.open("r")
    first.load()
    second.load()
    first.commit([AtomChange("a", state="running")])
    for _ in range(2):
        with pytest.raises(VersionConflict, match="run 'r' was taken up by somebody else"):
            second.commit([AtomChange("b", state="running"), FlowChange("running")])
    assert manager.states("r") == {"a": "running", "b": "pending"}
    assert len(manager.history("r")) == 2
    assert second.load().atoms["a"].state == "running"
    second.commit([AtomChange("b", state="running")])
    with pytest.raises(VersionConflict):
        first.commit([AtomChange("a", state="completed")])
    assert manager.states("r") == {"a": "running", "b": "running"}


def test_a_commit_that_failed_is_forgotten(manager: StateManager, store: Store) -> None:
    journal = manager.begin("r", "ingest")
    other = manager.open("r")
    other.commit([AtomChange("a", state="running")])
    with pytest.raises(VersionConflict):
        journal.commit([AtomChange("a", state="lost", result=encode(1, "r"))])
    journal.load()
    journal.commit([AtomChange("a", attempts=2)])
    atom = manager.atoms("r")["a"]
    assert (atom.state, atom.attempts, atom.result) == ("running", 2, None)


def test_a_run_that_was_begun_anew_is_not_the_old_one(manager: StateManager) -> None:
    old = manager.begin("r", "ingest")
    manager.delete("r")
    manager.begin("r", "ingest")
    with pytest.raises(VersionConflict):
        old.commit([FlowChange("running")])
    assert manager.run("r").status == "pending"


def test_a_run_deleted_while_it_is_opened(manager: StateManager, store: Store) -> None:
    journal = manager.begin("r", "ingest")
    store.transact([Delete("run/r/flow")])
    with pytest.raises(UnknownRecord, match="no run 'r'"):
        journal.load()
    assert manager.runs() == []


def test_a_round_of_many_atoms_is_one_transaction(manager: StateManager, store: Store) -> None:
    journal = manager.begin("r", "ingest", atoms=[f"a{number}" for number in range(100)])
    journal.commit([AtomChange(f"a{number}", state="running") for number in range(100)])
    assert len({record.version for record in store.scan("run/r/atom/")} | {record.version for record in store.scan("head/")}) == 1
