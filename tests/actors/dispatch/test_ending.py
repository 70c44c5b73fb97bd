from __future__ import annotations

import pytest

from callboard.actors.dispatch.command import Retold
from callboard.actors.dispatch.ledger import Ledger
from callboard.messages.codec import Large
from callboard.messages.status import TaskStatus
from callboard.messages.wire import Ending
from tests.actors.dispatch.board import DONE, Board, task

PENDING, RUNNING, COMPLETED = TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.COMPLETED
FAILED, CANCELLED, SKIPPED = TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.SKIPPED


def test_a_completed_task_is_delivered_with_its_output() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t"), client="eve")
    board.report("t", micros=1500, output=b"42")
    (entry,) = board.told["eve"]
    assert (entry.status, entry.output, entry.worker_name, entry.attempts, entry.micros) == (COMPLETED, b"42", "ada", 1, 1500)
    assert (entry.error, entry.failure) == (None, None)


def test_a_failed_task_keeps_what_its_worker_said() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t"))
    board.report("t", Ending.FAILED, output=b"half", error="ValueError: no")
    assert board.status("t") == [FAILED]
    assert (board["t"].error, board["t"].output) == ("ValueError: no", b"half")


def test_dependents_of_what_failed_are_skipped_and_name_it() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("a"), task("b", "a"), task("c", "b"), task("d", "x"))
    board.report("a", Ending.FAILED, error="no")
    assert board.outcomes() == [("a", "failed"), ("b", "skipped"), ("c", "skipped")]
    assert board["b"].error == "dependency 'a' (a) failed"
    assert board["c"].error == "dependency 'b' (b) skipped"
    assert board.status("d") == [PENDING]


def test_a_task_that_comes_after_its_dependency_failed_is_skipped() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("a"))
    board.report("a", Ending.FAILED, error="no")
    board.submit(task("b", "a"), task("c", "b"))
    assert board.status("b", "c") == [SKIPPED, SKIPPED]


def test_a_task_of_two_dependencies_that_fail_is_skipped_once() -> None:
    board = Board()
    board.worker("ada", slots=2)
    board.submit(task("a"), task("b"), task("c", "a", "b"))
    board.report("a", Ending.FAILED, error="no")
    board.report("b", Ending.FAILED, error="no")
    assert board.outcomes() == [("a", "failed"), ("c", "skipped"), ("b", "failed")]


def test_a_failed_head_of_a_chain_of_ten_thousand_skips_them_all() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t0"), *(task(f"t{number}", f"t{number - 1}") for number in range(1, 10_000)))
    board.report("t0", Ending.FAILED, error="no")
    assert board.status("t9999") == [SKIPPED]
    assert board.dispatcher.drained


# -- fallbacks -----------------------------------------------------------------------------------


def test_a_value_stands_in() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t", fallback=b"instead"), task("next", "t"))
    board.report("t", Ending.FAILED, error="no")
    assert board.status("t") == [COMPLETED]
    assert (board["t"].output, board["t"].error) == (b"instead", "no")
    assert board.running("ada") == ["next"]


def test_a_large_value_stands_in() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t", fallback=b"x" * 100_000))
    board.report("t", Ending.FAILED, error="no")
    assert isinstance(board["t"].output, Large)
    assert board["t"].output.size == 100_000


def test_a_task_stands_in_and_its_outcome_is_the_first_ones() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t", fallback=task("plan-b")), task("next", "t"))
    board.report("t", Ending.FAILED, error="no")
    assert board.status("t", "plan-b", "next") == [PENDING, RUNNING, PENDING]
    board.report("plan-b", output=b"b")
    assert board.status("t") == [COMPLETED]
    assert (board["t"].output, board["t"].attempts) == (b"b", 2)
    assert board.running("ada") == ["next"]
    assert board.outcomes() == [("t", "completed")], "nobody has a handle of the fallback"


def test_a_fallback_that_fails_fails_the_task_with_its_own_error() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t", fallback=task("b", fallback=task("c"))))
    board.report("t", Ending.FAILED, error="first")
    board.report("b", Ending.FAILED, error="second")
    board.report("c", Ending.FAILED, error="third")
    assert board.outcomes() == [("t", "failed")]
    assert board["t"].error == "third"


def test_a_fallback_whose_id_is_taken_gets_another() -> None:
    board = Board()
    board.worker("ada", slots=2)
    board.submit(task("a", fallback=task("same")), task("b", fallback=task("same")))
    board.report("a", Ending.FAILED, error="no")
    board.report("b", Ending.FAILED, error="no")
    first, second = board.running("ada")
    assert first == "same" != second
    board.complete(second, first)
    assert board.status("a", "b") == [COMPLETED, COMPLETED]


def test_a_fallback_that_waits_for_what_it_stands_in_for_is_an_error() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t", fallback=task("f", "next")), task("next", "t"))
    board.report("t", Ending.FAILED, error="no")
    assert board.status("t", "next") == [FAILED, SKIPPED]
    assert board.failure("t") == "DependencyCycle"
    assert board["t"].error == "dependencies form a cycle: f -> next -> t -> f"


def test_a_task_that_closes_a_circle_with_a_waiting_fallback_is_refused() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t", fallback=task("f", "unknown")))
    board.report("t", Ending.FAILED, error="no")
    (error,) = board.submit(task("unknown", "t"))
    assert "unknown -> t -> f -> unknown" in str(error)


def test_a_cancelled_task_takes_its_fallback_along() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t", fallback=task("f")))
    board.report("t", Ending.FAILED, error="no")
    assert board.cancel("t") == ["t"]
    assert board.outcomes() == [("t", "cancelled")]
    (halt,) = board.halts()
    assert halt.ids == ["f"]
    board.report("f", Ending.CANCELLED)
    assert board.dispatcher.drained


def test_a_fallback_of_a_task_that_was_cancelled_meanwhile_never_runs() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t", fallback=task("f")))
    board.report_many(["t"], Ending.FAILED, error="no")
    board.cancel("t")
    assert board.running("ada") == []
    assert board.dispatcher.drained


def test_a_task_with_a_fallback_waits_for_nothing_else_any_more() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t", "unknown", fallback=task("f")))
    board.close()
    assert board.running("ada") == ["f"]
    board.submit(task("unknown"))
    board.complete("f", "unknown")
    assert board.running("ada") == []
    assert board.status("t") == [COMPLETED]
    assert board["t"].attempts == 1


# -- asked again ---------------------------------------------------------------------------------


def test_a_client_that_asks_again_is_told_again() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("a"), task("b"), client="old")
    board.complete("a")
    board.submit(task("a"), task("b"), client="new", again=True)
    (told,) = board.told["new"]
    assert isinstance(told, Retold)
    assert (told.task_id, told.status, told.output) == ("a", COMPLETED, b"done")
    board.complete("b")
    assert board.outcomes("new") == [("a", "completed"), ("b", "completed")]
    assert board.outcomes("old") == [("a", "completed")]


def test_an_output_that_was_let_go_before_it_was_asked_for_again_is_an_error_of_the_asking_only() -> None:
    board = Board(ledger=Ledger(kept_bytes=len(DONE)))
    board.worker("ada")
    for number in range(5):
        board.submit(task(f"t{number}"))
        board.complete(f"t{number}")
    board.submit(task("t0"), client="new", again=True)
    (told,) = board.told["new"]
    assert told.status is FAILED
    assert told.failure is not None and told.failure.type_name == "OutputReleased"
    assert board.status("t0") == [COMPLETED]


@pytest.mark.parametrize("status", [COMPLETED, FAILED, CANCELLED, SKIPPED])
def test_what_has_ended_leaves_nothing_behind(status: TaskStatus) -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("a", expires_in=100.0, timeout=100.0, key="k"), task("b", "a", expires_in=50.0))
    if status is COMPLETED:
        board.complete("a", "b")
    elif status is FAILED:
        board.report("a", Ending.FAILED, error="no")
    elif status is CANCELLED:
        board.cancel("a")
        board.report("a", Ending.CANCELLED)
    else:
        board.report("a", Ending.TIMED_OUT)
    requirement = board["a"].category.requirement
    assert board.dispatcher.drained
    assert not requirement.backlog and not requirement.waiting
    assert len(board.dispatcher.agenda) == 0
    for entry in (board["a"], board["b"]):
        assert entry.timer is None and entry.users == 0 and entry.submission is None and entry.payload is None
