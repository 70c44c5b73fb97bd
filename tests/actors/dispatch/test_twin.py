from __future__ import annotations

from callboard.actors.dispatch.ledger import Ledger
from callboard.messages.status import TaskStatus
from callboard.messages.wire import Ending
from tests.actors.dispatch.board import DONE, Board, task

PENDING, COMPLETED, FAILED = TaskStatus.PENDING, TaskStatus.COMPLETED, TaskStatus.FAILED
CANCELLED, SKIPPED = TaskStatus.CANCELLED, TaskStatus.SKIPPED


def test_a_hundred_of_one_key_run_once_and_all_get_the_outcome() -> None:
    board = Board()
    board.worker("ada", slots=5)
    board.submit(*(task(f"t{number}", key="k") for number in range(100)))
    assert board.running("ada") == ["t0"]
    board.report("t0", output=b"one")
    assert board.outcomes() == [(f"t{number}", "completed") for number in range(100)]
    assert {board[f"t{number}"].output for number in range(100)} == {b"one"}


def test_other_keys_run_for_themselves() -> None:
    board = Board()
    board.worker("ada", slots=5)
    board.submit(task("a", key="k"), task("b", key="l"), task("c"))
    assert board.running("ada") == ["a", "b", "c"]


def test_one_that_comes_after_gets_the_outcome_at_once() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("a", key="k"))
    board.report("a", output=b"one")
    board.submit(task("b", key="k"))
    assert board.status("b") == [COMPLETED]
    assert board["b"].output == b"one"


def test_a_failure_goes_to_all_that_waited_and_the_next_one_tries_again() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("a", key="k"), task("b", key="k"))
    board.report("a", Ending.FAILED, error="no")
    assert board.status("a", "b") == [FAILED, FAILED]
    board.submit(task("c", key="k"))
    assert board.running("ada") == ["c"]


def test_an_output_that_was_let_go_is_made_again() -> None:
    board = Board(ledger=Ledger(kept_bytes=len(DONE)))
    board.worker("ada")
    board.submit(task("a", key="k"))
    board.complete("a")
    for number in range(5):
        board.submit(task(f"t{number}"))
        board.complete(f"t{number}")
    board.submit(task("b", key="k"))
    assert board.running("ada") == ["b"]


def test_when_the_leader_is_cancelled_the_next_takes_its_place() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("a", key="k"), task("b", key="k"), task("c", key="k"))
    board.cancel("a")
    board.report("a", Ending.CANCELLED)
    assert board.status("a") == [CANCELLED]
    assert board.running("ada") == ["b"]
    board.complete("b")
    assert board.status("b", "c") == [COMPLETED, COMPLETED]


def test_a_follower_can_be_cancelled_alone() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("a", key="k"), task("b", key="k"), task("c", key="k"))
    board.cancel("b")
    board.complete("a")
    assert board.outcomes() == [("b", "cancelled"), ("a", "completed"), ("c", "completed")]


def test_a_follower_does_not_run_when_its_dependencies_end() -> None:
    board = Board()
    board.worker("ada", slots=3)
    board.submit(task("a", key="k"), task("x"), task("b", "x", key="k"))
    board.complete("x")
    assert board.running("ada") == ["a"]
    board.complete("a")
    assert board.status("b") == [COMPLETED]
    assert board.running("ada") == []


def test_a_follower_whose_dependency_fails_is_skipped() -> None:
    board = Board()
    board.worker("ada", slots=3)
    board.submit(task("a", key="k"), task("x"), task("b", "x", key="k"))
    board.report("x", Ending.FAILED, error="no")
    board.complete("a")
    assert board.status("a", "b") == [COMPLETED, SKIPPED]


def test_a_promoted_follower_still_waits_for_its_dependencies() -> None:
    board = Board()
    board.worker("ada", slots=3)
    board.submit(task("a", "never", key="k"), task("x"), task("b", "x", key="k"))
    board.cancel("a")
    assert board.running("ada") == ["x"]
    board.complete("x")
    assert board.running("ada") == ["b"]


def test_a_twin_that_its_leader_waits_for_is_refused() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("a", "x", key="k"), task("x", "b"))
    (error,) = board.submit(task("b", key="k"))
    assert str(error) == "dependencies form a cycle: b -> a -> x -> b"


def test_a_new_leader_and_a_twin_that_it_waits_for_both_run() -> None:
    board = Board()
    board.worker("ada", slots=3)
    board.submit(task("a", "never", key="k"), task("b", "x", key="k"), task("c", key="k"), task("x", "c"))
    board.cancel("a")
    assert board.running("ada") == ["c"]
    board.complete("c", "x", "b")
    assert board.status("b", "c", "x") == [COMPLETED, COMPLETED, COMPLETED]


def test_a_death_of_the_leaders_worker_changes_nothing() -> None:
    board = Board()
    board.worker("ada")
    board.submit(*(task(f"t{number}", key="k") for number in range(10)))
    board.lose("ada", ["t0"])
    board.worker("bob")
    board.complete("t0")
    assert [status for _, status in board.outcomes()] == ["completed"] * 10


def test_the_fallback_of_the_leader_answers_for_all() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("a", key="k", fallback=task("f")), task("b", key="k"))
    board.report("a", Ending.FAILED, error="no")
    board.report("f", output=b"instead")
    assert (board["a"].output, board["b"].output) == (b"instead", b"instead")


def test_only_so_many_keys_are_remembered() -> None:
    board = Board(ledger=Ledger(history=10))
    board.worker("ada")
    board.submit(task("open", "never", key="open"))
    for number in range(100):
        board.submit(task(f"t{number}", key=f"k{number}"))
        board.complete(f"t{number}")
    twins = board.dispatcher.endings.twins
    assert len(twins._leaders) <= 11
    assert twins.leader("open") is board["open"]
    assert twins.leader("k0") is None
