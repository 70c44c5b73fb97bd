"""What was done once is answered and not done again."""

from __future__ import annotations

import math
import threading
from multiprocessing import get_context

import pytest

from callboard.messages.errors import CannotStore, InvalidSetting
from callboard.state.address import open_store
from callboard.state.idempotency import Answer, Done, InFlight, New, Outcomes, idempotency_key
from callboard.state.store import Store
from callboard.state.value import encode
from tests.state.program import run_program

OUTCOME = encode({"paid": (1, 2)}, "outcome")
LEASE = 30.0


@pytest.fixture
def outcomes(store: Store) -> Outcomes:
    return Outcomes(store, lifetime=1000.0, limit=20)


def test_done_once_answered_ever_after(outcomes: Outcomes) -> None:
    assert outcomes.begin("k", "ada", 0.0, LEASE) == New()
    assert outcomes.finish("k", "ada", OUTCOME, 5.0) is True
    for owner in ("ada", "bob"):
        answer = outcomes.begin("k", owner, 900.0, LEASE)
        assert isinstance(answer, Done) and answer.outcome.load() == {"paid": (1, 2)}
    assert outcomes.begin("k/2", "bob", 900.0, LEASE) == New()


def test_while_one_is_at_it_others_are_told(outcomes: Outcomes) -> None:
    outcomes.begin("k", "ada", 0.0, LEASE)
    assert outcomes.begin("k", "bob", 29.9, LEASE) == InFlight("ada", 30.0)
    assert outcomes.begin("other", "bob", 29.9, LEASE) == New()


def test_the_owner_who_comes_back_goes_on(outcomes: Outcomes) -> None:
    outcomes.begin("k", "ada", 0.0, LEASE)
    assert outcomes.begin("k", "ada", 20.0, LEASE) == New()
    assert outcomes.begin("k", "bob", 40.0, LEASE) == InFlight("ada", 50.0)


def test_a_lease_that_ran_out_is_taken_over(outcomes: Outcomes) -> None:
    outcomes.begin("k", "ada", 0.0, LEASE)
    assert outcomes.begin("k", "bob", 30.0, LEASE) == New(taken_from="ada")
    assert outcomes.begin("k", "eve", 31.0, LEASE) == InFlight("bob", 60.0)
    assert outcomes.finish("k", "ada", encode("late", "o"), 32.0) is False
    assert outcomes.begin("k", "ada", 33.0, LEASE) == InFlight("bob", 60.0)
    assert outcomes.finish("k", "bob", OUTCOME, 34.0) is True
    assert outcomes.finish("k", "ada", encode("late", "o"), 35.0) is False
    assert outcomes.begin("k", "eve", 36.0, LEASE) == Done(OUTCOME)


def test_a_late_owner_whom_nobody_replaced_is_heard(outcomes: Outcomes) -> None:
    outcomes.begin("k", "ada", 0.0, LEASE)
    assert outcomes.finish("k", "ada", OUTCOME, 500.0) is True
    assert outcomes.begin("k", "bob", 501.0, LEASE) == Done(OUTCOME)


def test_abandoned_work_may_begin_at_once(outcomes: Outcomes, store: Store) -> None:
    outcomes.begin("k", "ada", 0.0, LEASE)
    outcomes.abandon("k", "bob")
    assert outcomes.begin("k", "bob", 1.0, LEASE) == InFlight("ada", 30.0)
    outcomes.abandon("k", "ada")
    assert store.scan() == []
    assert outcomes.begin("k", "bob", 1.0, LEASE) == New()


def test_what_is_done_cannot_be_abandoned(outcomes: Outcomes) -> None:
    outcomes.begin("k", "ada", 0.0, LEASE)
    outcomes.finish("k", "ada", OUTCOME, 1.0)
    outcomes.abandon("k", "ada")
    outcomes.abandon("never", "ada")
    assert outcomes.begin("k", "ada", 2.0, LEASE) == Done(OUTCOME)


def test_outcomes_expire(outcomes: Outcomes) -> None:
    outcomes.begin("k", "ada", 0.0, LEASE)
    outcomes.finish("k", "ada", OUTCOME, 1.0)
    assert outcomes.begin("k", "bob", 1000.9, LEASE) == Done(OUTCOME)
    assert outcomes.begin("k", "bob", 1001.0, LEASE) == New()


def test_what_expired_leaves_the_store(outcomes: Outcomes, store: Store) -> None:
    for number in range(15):
        outcomes.begin(f"k{number}", "ada", float(number), LEASE)
        outcomes.finish(f"k{number}", "ada", OUTCOME, float(number))
    outcomes.begin("forgotten lease", "ada", 0.0, LEASE)
    for number in range(4):
        outcomes.begin(f"new{number}", "ada", 5000.0, LEASE)
        outcomes.finish(f"new{number}", "ada", OUTCOME, 5000.0)
    assert [record.key for record in store.scan("outcome/")] == [f"outcome/new{number}" for number in range(4)]
    assert len(store.scan()) == 8


def test_there_are_never_many_more_than_the_limit(outcomes: Outcomes, store: Store) -> None:
    outcomes.begin("at work", "eve", 0.0, LEASE)
    for number in range(60):
        outcomes.begin(f"k{number}", "ada", 1.0 + number, LEASE)
        outcomes.finish(f"k{number}", "ada", OUTCOME, 1.0 + number)
        assert len(store.scan("outcome/")) <= 24
    assert outcomes.begin("k59", "bob", 62.0, LEASE) == Done(OUTCOME)
    assert outcomes.begin("k0", "bob", 62.0, LEASE) == New()
    assert outcomes.finish("at work", "eve", OUTCOME, 62.0) is True


def test_what_is_being_done_is_never_let_go(store: Store) -> None:
    outcomes = Outcomes(store, limit=2)
    for number in range(6):
        outcomes.begin(f"k{number}", "ada", 0.0, LEASE)
    outcomes.finish("k0", "ada", OUTCOME, 1.0)
    assert [outcomes.begin(f"k{number}", "bob", 2.0, LEASE) for number in range(1, 6)] == [InFlight("ada", 30.0)] * 5


def test_of_many_at_once_one_begins(outcomes: Outcomes) -> None:
    answers: list[Answer] = []
    threads = [
        threading.Thread(target=lambda name=f"t{number}": answers.append(outcomes.begin("k", name, 0.0, LEASE))) for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6 and answers.count(New()) == 1


def claim(url: str, name: str) -> None:
    """Run in a process of its own: begins each key and counts those that are its to do."""
    store = open_store(url)
    outcomes = Outcomes(store)
    for number in range(40):
        if outcomes.begin(f"k{number}", name, 0.0, LEASE) == New():
            store.put(f"done/{number}/{name}", b"")
    store.close()


def test_of_many_processes_one_begins(shared_url: str) -> None:
    context = get_context("spawn")
    processes = [context.Process(target=claim, args=(shared_url, str(number))) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    store = open_store(shared_url)
    assert len(store.scan("done/")) == 40
    store.close()


@pytest.mark.parametrize("wrong", [{"lifetime": 0.0}, {"lifetime": math.inf}, {"limit": 0}])
def test_settings_that_cannot_work(store: Store, wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidSetting, match="lifetime must be"):
        Outcomes(store, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("lease", [0.0, -1.0, math.inf, math.nan])
def test_leases_that_cannot_work(outcomes: Outcomes, lease: float) -> None:
    with pytest.raises(InvalidSetting, match="lease must be"):
        outcomes.begin("k", "ada", 0.0, lease)


# -- keys


def test_a_key_is_of_task_version_and_inputs() -> None:
    key = idempotency_key("pay", (1, 0), {"to": "ada", "sum": 5})
    assert key == idempotency_key("pay", (1, 0), {"sum": 5, "to": "ada"})
    others = [
        idempotency_key("pay2", (1, 0), {"to": "ada", "sum": 5}),
        idempotency_key("pay", (1, 1), {"to": "ada", "sum": 5}),
        idempotency_key("pay", (1, 0), {"to": "ada", "sum": 5.0}),
        idempotency_key("pay", (1, 0), {"to": "ada"}),
        idempotency_key("pay", (1, 0), {"to": ("ada",), "sum": 5}),
        idempotency_key("pay", (1, 0), {"to": ["ada"], "sum": 5}),
    ]
    assert len({key, *others}) == 7


def test_order_does_not_count_where_it_has_no_meaning() -> None:
    assert idempotency_key("t", (1, 0), {"a": {1: {"x": 1, "y": 2}, 2: "b"}}) == idempotency_key(
        "t", (1, 0), {"a": {2: "b", 1: {"y": 2, "x": 1}}}
    )
    assert idempotency_key("t", (1, 0), {"a": [1, 2]}) != idempotency_key("t", (1, 0), {"a": [2, 1]})


def test_a_key_is_the_same_in_every_process(tmp_path_factory: pytest.TempPathFactory) -> None:
    program = """
from callboard.state import idempotency_key
print(idempotency_key("t", (1, 0), {"names": {"a", "b", "c", "d"}, "m": {("x", 1): frozenset("xyz")}}))
"""
    folder = tmp_path_factory.mktemp("key")
    keys = {run_program(program, folder, PYTHONHASHSEED=seed).stdout for seed in ("1", "2")}
    assert keys == {idempotency_key("t", (1, 0), {"m": {("x", 1): frozenset("xyz")}, "names": {"a", "b", "c", "d"}}) + "\n"}


def test_inputs_that_cannot_be_stored_have_no_key() -> None:
    with pytest.raises(CannotStore, match="inputs of task 'pay' cannot be stored"):
        idempotency_key("pay", (1, 0), {"door": threading.Lock()})
