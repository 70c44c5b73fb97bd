"""Named states, log books and questions about runs."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from callboard.messages.errors import CannotStore, InvalidSetting, StoreUnavailable, UnknownRecord, VersionConflict
from callboard.messages.failure import Failure
from callboard.state.change import AtomChange, FlowChange
from callboard.state.manager import StateManager
from callboard.state.named import KEPT_VERSIONS
from callboard.state.store import Store
from callboard.state.value import encode


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def manager(store: Store, clock: Clock) -> StateManager:
    return StateManager(store, clock=clock)


# -- named states


def test_save_and_load(manager: StateManager) -> None:
    assert manager.save("cursor", {"page": 1}) == 1
    assert manager.save("cursor", {"page": (2, 3)}) == 2
    assert manager.load("cursor") == {"page": (2, 3)}
    assert manager.load("cursor", version=1) == {"page": 1}


def test_versions_with_their_times(manager: StateManager, clock: Clock) -> None:
    manager.save("cursor", "a")
    clock.now = 1005.5
    manager.save("cursor", "b")
    assert [(saved.version, saved.time, saved.load()) for saved in manager.versions("cursor")] == [(1, 1000.0, "a"), (2, 1005.5, "b")]
    assert manager.versions("other") == []


def test_only_so_many_versions_are_kept(manager: StateManager) -> None:
    for number in range(KEPT_VERSIONS + 3):
        manager.save("n", number)
    versions = manager.versions("n")
    assert [versions[0].version, versions[-1].version, len(versions)] == [4, KEPT_VERSIONS + 3, KEPT_VERSIONS]
    with pytest.raises(UnknownRecord, match="no version 3 of state 'n' is kept"):
        manager.load("n", version=3)


def test_save_over_an_expected_version(manager: StateManager) -> None:
    assert manager.save("k", "a", expected=0) == 1
    with pytest.raises(VersionConflict, match="'k' is at version 1, not at 0"):
        manager.save("k", "b", expected=0)
    assert manager.save("k", "b", expected=1) == 2


def test_names(manager: StateManager) -> None:
    for name in ("b", "a/1", "a/2", "a%", "ab"):
        manager.save(name, None)
    assert manager.names() == ["a%", "a/1", "a/2", "ab", "b"]
    assert manager.names("a/") == ["a/1", "a/2"]


def test_forget(manager: StateManager, store: Store) -> None:
    manager.save("k", 1)
    manager.save("k", 2)
    manager.save("k/2", 2)
    assert manager.forget("k") is True
    assert manager.forget("k") is False
    with pytest.raises(UnknownRecord, match="no state 'k' is kept"):
        manager.load("k")
    assert manager.names() == ["k/2"] and len(manager.versions("k/2")) == 1
    manager.forget("k/2")
    assert store.scan() == []


def test_what_cannot_be_stored_is_named_and_nothing_is_saved(manager: StateManager, store: Store) -> None:
    with pytest.raises(CannotStore, match="state 'lock' cannot be stored"):
        manager.save("lock", threading.Lock())
    assert store.scan() == []


def test_saves_at_once_lose_nothing(manager: StateManager) -> None:
    threads = [threading.Thread(target=lambda: [manager.save("k", number) for number in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [saved.version for saved in manager.versions("k")] == list(range(1, 41))


# -- log books


def test_books_hold_runs(manager: StateManager, clock: Clock) -> None:
    first = manager.add_book("nightly", meta={"team": "data"})
    clock.now += 1
    second = manager.add_book("nightly")
    manager.begin("r1", "ingest", book=first.id)
    manager.begin("r2", "ingest", book=second.id)
    assert manager.books() == [first, second] and first.id != second.id
    assert manager.book(first.id).meta.load() == {"team": "data"}
    assert [run.id for run in manager.runs(book=first.id)] == ["r1"]
    with pytest.raises(UnknownRecord, match="no log book 'x'"):
        manager.book("x")
    with pytest.raises(UnknownRecord, match="no log book 'x'"):
        manager.begin("r3", "ingest", book="x")


# -- runs


def test_a_run_as_it_begins(manager: StateManager) -> None:
    manager.begin(
        "r/1",
        "ingest",
        factory="flows:make",
        factory_args=(1, (2,)),
        factory_kwargs={"deep": {3}},
        inputs={"url": "u", "pair": (1, 2)},
        atoms=["fetch", "parse"],
        meta={"asked by": "ada"},
    )
    flow = manager.run("r/1")
    assert (flow.id, flow.name, flow.status, flow.atoms, flow.created, flow.updated) == (
        "r/1",
        "ingest",
        "pending",
        ("fetch", "parse"),
        1000.0,
        1000.0,
    )
    assert {name: value.load() for name, value in flow.inputs.items()} == {"url": "u", "pair": (1, 2)}
    assert flow.factory is not None and flow.factory.name == "flows:make"
    assert (flow.factory.args.load(), flow.factory.kwargs.load()) == ([1, (2,)], {"deep": {3}})
    assert flow.meta.load() == {"asked by": "ada"}
    assert manager.states("r/1") == {"fetch": "pending", "parse": "pending"}


def test_a_run_begins_once(manager: StateManager) -> None:
    manager.begin("r", "ingest", inputs={"a": 1})
    with pytest.raises(VersionConflict, match="has begun already"):
        manager.begin("r", "other")
    assert manager.run("r").name == "ingest"


def test_an_input_that_cannot_be_stored_is_named(manager: StateManager, store: Store) -> None:
    with pytest.raises(CannotStore, match="input 'door' of flow 'ingest' cannot be stored"):
        manager.begin("r", "ingest", inputs={"url": "u", "door": threading.Lock()})
    assert store.scan() == []


def test_questions_about_runs(manager: StateManager, clock: Clock) -> None:
    for run_id, name in (("z", "ingest"), ("y", "report"), ("x", "ingest")):
        manager.begin(run_id, name)
        clock.now += 1
    manager.open("x").commit([FlowChange("completed")])
    assert [run.id for run in manager.runs()] == ["z", "y", "x"]
    assert [run.id for run in manager.runs(name="ingest")] == ["z", "x"]
    assert [(run.id, run.status, run.updated) for run in manager.runs(status="completed")] == [("x", "completed", 1003.0)]
    assert manager.runs(status="completed", name="report") == []


def test_questions_about_atoms(manager: StateManager) -> None:
    journal = manager.begin("r", "ingest", atoms=["a", "b"])
    failure, worse = Failure.of(ValueError("bad")), Failure.of(OSError("worse"))
    journal.commit(
        [
            AtomChange("b", state="failed", failure=failure),
            AtomChange("late/one", state="revert_failed", failure=failure, revert_failure=worse),
        ]
    )
    assert manager.states("r") == {"a": "pending", "b": "failed", "late/one": "revert_failed"}
    assert manager.failures("r") == {"b": failure, "late/one": failure}
    assert manager.revert_failures("r") == {"late/one": worse}
    assert manager.atoms("r")["b"].failure == failure


def test_runs_whose_names_look_alike_do_not_mix(manager: StateManager) -> None:
    names = ["a", "a/", "a/atom", "a%2F", "%", "é\0"]
    for name in names:
        manager.begin(name, name).commit([AtomChange(name, state="running")])
    assert {run.id for run in manager.runs()} == set(names)
    for name in names:
        assert manager.states(name) == {name: "running"}
    manager.delete("a")
    assert manager.states("a/") == {"a/": "running"}


@pytest.mark.parametrize("ask", ["run", "open", "atoms", "states", "failures", "revert_failures", "history", "signals"])
def test_a_run_that_is_not_there(manager: StateManager, ask: str) -> None:
    with pytest.raises(UnknownRecord, match="no run 'r' is kept in this store"):
        getattr(manager, ask)("r")


def test_delete_leaves_nothing(manager: StateManager, store: Store) -> None:
    journal = manager.begin("r", "ingest", inputs={"a": 1}, atoms=["a"])
    journal.commit([AtomChange("a", state="running"), FlowChange("running")])
    manager.signal("r", "go")
    assert manager.delete("r") is True
    assert manager.delete("r") is False
    assert store.scan() == []
    with pytest.raises(VersionConflict):
        journal.commit([AtomChange("a", state="completed")])
    assert store.scan() == []


# -- signals


def test_signals(manager: StateManager) -> None:
    manager.begin("r", "ingest")
    assert manager.signals("r") == {}
    manager.signal("r", "approved", {"by": "ada", "at": (1, 2)})
    manager.signal("r", "a/b")
    manager.signal("r", "approved", {"by": "eve"})
    assert manager.signals("r") == {"approved": {"by": "eve"}, "a/b": None}


def test_a_signal_does_not_disturb_the_engine(manager: StateManager) -> None:
    journal = manager.begin("r", "ingest", atoms=["a"])
    manager.signal("r", "approved", True)
    journal.commit([AtomChange("a", state="running")])
    assert manager.states("r") == {"a": "running"}


def test_signals_that_cannot_be(manager: StateManager) -> None:
    with pytest.raises(UnknownRecord, match="no run 'r'"):
        manager.signal("r", "approved")
    manager.begin("r", "ingest")
    with pytest.raises(CannotStore, match="signal 'approved' cannot be stored"):
        manager.signal("r", "approved", threading.Lock())
    assert manager.signals("r") == {}


# -- the manager itself


def test_a_manager_closes_the_store_that_it_opened(tmp_path: Path) -> None:
    with StateManager(f"sqlite:///{tmp_path}/state.db") as manager:
        manager.save("k", 1)
    with pytest.raises(StoreUnavailable):
        manager.load("k")
    with StateManager(f"sqlite:///{tmp_path}/state.db") as again:
        assert again.load("k") == 1


def test_a_manager_leaves_a_store_open_that_it_was_given(store: Store) -> None:
    with StateManager(store) as manager:
        manager.save("k", encode(1, "k"))
    assert store.get("state/k") is not None


def test_each_manager_in_memory_is_alone() -> None:
    StateManager().save("k", 1)
    assert StateManager().names() == []


def test_no_such_kind_of_store() -> None:
    with pytest.raises(InvalidSetting, match="a store is 'memory:'"):
        StateManager("mongodb://host")
