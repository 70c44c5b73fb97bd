from __future__ import annotations

from callboard.messages.errors import DuplicateTask
from callboard.messages.status import TaskStatus
from tests.actors.dispatch.board import Board, task


def test_an_id_is_taken_once() -> None:
    board = Board()
    board.worker("ada")
    (error,) = [*board.submit(task("a")), *board.submit(task("a"), task("b"))]
    assert isinstance(error, DuplicateTask)
    assert error.task_id == "a"
    board.complete("a")
    assert isinstance(board.submit(task("a"))[0], DuplicateTask)
    assert board.running("ada") == ["b"]


def test_an_id_named_twice_in_one_message_is_taken_once() -> None:
    board = Board()
    (error,) = board.submit(task("a"), task("a"))
    assert isinstance(error, DuplicateTask)
    assert board.dispatcher.ledger.open == 1


def test_what_comes_again_after_a_reconnect_is_no_duplicate() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("a"), client="old")
    assert board.submit(task("a"), task("b"), client="new", again=True) == []
    board.complete("a", "b")
    assert board.outcomes("new") == [("a", "completed"), ("b", "completed")]
    assert board.outcomes("old") == []


def test_what_depends_on_a_task_that_its_client_sent_before_and_nobody_remembers_fails_at_once() -> None:
    board = Board()
    late, later = task("late", "gone", "never"), task("later", "late")
    late.dependencies_sent = later.dependencies_sent = True
    board.submit(task("waits", "gone"), late, later)
    assert board.failure("late") == "OutputReleased"
    assert "'gone', 'never', which ended too long ago" in str(board["late"].error)
    assert board.status("later", "waits") == [TaskStatus.SKIPPED, TaskStatus.PENDING]
    assert list(board.dispatcher.ledger.awaited) == ["gone"]


def test_at_the_end_what_waits_for_nobody_fails_and_names_it() -> None:
    board = Board()
    board.submit(task("a", "never", "nor-this"), task("b", "a"), task("c", "never"))
    board.close()
    assert board.failure("a") == "UnknownDependency"
    assert board["a"].error == "task 'a' waits for 'never', 'nor-this', which nobody submitted"
    assert board.status("b") == [TaskStatus.SKIPPED]
    assert board.failure("c") == "UnknownDependency"
    assert board.dispatcher.drained
    assert board.dispatcher.ledger.awaited == {}


def test_after_the_end_what_comes_with_an_unknown_dependency_fails_at_once() -> None:
    board = Board()
    board.close()
    board.submit(task("a", "never"))
    assert board.failure("a") == "UnknownDependency"


def test_tasks_know_when_they_were_submitted() -> None:
    board = Board()
    board.dispatcher.submit("c", [task("a")], board.now, 1234.9)
    assert board["a"].submitted == 1234
