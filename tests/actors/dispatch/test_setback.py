from __future__ import annotations

from typing import Any

import pytest

from callboard.messages.spec import RetryNumbers
from callboard.messages.status import TaskStatus
from callboard.messages.wire import Ending
from tests.actors.dispatch.board import Board, task

PENDING, RUNNING, COMPLETED = TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.COMPLETED
FAILED, CANCELLED = TaskStatus.FAILED, TaskStatus.CANCELLED


def busy(**spec: Any) -> Board:
    board = Board()
    board.worker("ada")
    board.submit(task("t", **spec))
    return board


# -- by the worker's word ------------------------------------------------------------------------


def test_a_worker_may_decide_for_another_attempt_after_a_while() -> None:
    board = busy()
    board.report("t", Ending.FAILED, error="first", again=2.0)
    assert board.status("t") == [PENDING]
    board.later(1.9)
    assert board.running("ada") == []
    board.later(0.2)
    assert board.running("ada") == ["t"]
    board.complete("t")
    assert (board["t"].attempts, board["t"].rare.failures, board["t"].error) == (2, 1, None)


def test_a_worker_may_give_up() -> None:
    board = busy(retry=RetryNumbers(max_attempts=5))
    board.report("t", Ending.FAILED, error="fatal")
    assert board.status("t") == [FAILED]


def test_a_worker_is_free_while_a_task_waits_to_be_tried_again() -> None:
    board = busy()
    board.report("t", Ending.FAILED, error="no", again=5.0)
    board.submit(task("other"))
    assert board.running("ada") == ["other"]


def test_an_unknown_ending_is_a_failure() -> None:
    board = busy()
    board.report("t", 77)
    assert board.status("t") == [FAILED]
    assert board["t"].error == "failed"


# -- timeouts ------------------------------------------------------------------------------------


def test_an_overrun_fails_where_nothing_says_otherwise() -> None:
    board = busy(timeout=1.5)
    board.report("t", Ending.TIMED_OUT)
    assert board.status("t") == [FAILED]
    assert board.failure("t") == "TaskTimedOut"
    assert board["t"].error == "task 't' ran longer than its timeout of 1.5 s"


def test_an_overrun_is_retried_by_the_numbers() -> None:
    board = Board(random=lambda: 0.5)
    board.worker("ada")
    numbers = RetryNumbers(max_attempts=3, initial_delay_seconds=1.0, backoff_factor=2.0, jitter=1.0)
    board.submit(task("t", timeout=1.0, retry=numbers))
    delays = []
    for _ in range(2):
        board.report("t", Ending.TIMED_OUT)
        due = board.dispatcher.agenda.next()
        assert due is not None
        delays.append(due - board.now)
        board.later(10.0)
    board.report("t", Ending.TIMED_OUT)
    assert delays == pytest.approx([1.5, 3.0])
    assert (board.status("t"), board["t"].attempts) == ([FAILED], 3)


def test_a_worker_that_does_not_stop_an_overrun_is_ended() -> None:
    board = busy(timeout=1.0)
    board.later(2.9)
    assert board.kills() == []
    board.later(0.2)
    (kill,) = board.kills()
    assert kill == ("ada", "did not stop task 't'")
    board.lose("ada", ["t"])
    assert board.failure("t") == "TaskTimedOut"


def test_the_others_of_a_worker_that_is_ended_are_not_to_blame() -> None:
    board = Board(max_worker_deaths=1)
    board.worker("ada", slots=3)
    board.submit(task("t", timeout=1.0), task("a"), task("b"))
    board.later(5.0)
    board.lose("ada", ["t", "a", "b"])
    board.worker("bob", slots=3)
    assert board.running("bob") == ["a", "b"]
    assert [board[name].rare.deaths for name in "ab"] == [0, 0]
    assert [board[name].attempts for name in "ab"] == [1, 1]


def test_what_has_not_begun_has_not_overrun() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("parent"))
    board.park("parent")
    board.submit(task("child", timeout=1.0))
    board.park("parent", False)
    board.later(60.0)
    assert board.kills() == []
    board.report("parent", micros=60_000_000)
    board.later(6.0)
    assert len(board.kills()) >= 1


def test_the_timeout_of_an_attempt_that_ended_is_forgotten() -> None:
    board = busy(timeout=1.0)
    board.report("t", Ending.FAILED, error="no", again=0.0)
    board.later(0.5)
    board.complete("t")
    board.later(60.0)
    assert board.kills() == []


# -- deaths --------------------------------------------------------------------------------------


def test_after_three_deaths_it_is_the_tasks_fault() -> None:
    board = Board()
    board.submit(task("t"))
    for name in ("ada", "bob", "eve"):
        board.worker(name)
        board.lose(name, ["t"], "was killed by signal 11")
    assert board.status("t") == [FAILED]
    assert board.failure("t") == "WorkerDied"
    assert board["t"].error == "task 't' was running when worker 'eve' was killed by signal 11, 3 times in all"
    assert board["t"].attempts == 3


def test_only_what_was_running_is_blamed() -> None:
    board = Board(max_worker_deaths=1)
    board.worker("ada")
    board.submit(*(task(f"t{number}") for number in range(10)))
    board.report("t0", micros=100)
    assert len(board.running("ada")) == 9
    board.lose("ada", ["t1"])
    assert board.status("t1") == [FAILED]
    board.worker("bob")
    assert {board[f"t{number}"].rare.deaths for number in range(2, 10)} == {0}
    assert board.running("bob")[0] == "t2"


def test_a_death_is_no_failure_of_the_task_itself() -> None:
    board = busy(retry=RetryNumbers(max_attempts=1))
    board.lose("ada", ["t"])
    assert board.status("t") == [PENDING]
    assert board["t"].rare.failures == 0


def test_without_certain_word_the_first_of_each_slot_are_suspected() -> None:
    board = Board()
    board.worker("ada", slots=2)
    board.submit(*(task(f"t{number}") for number in range(10)))
    board.report_many(["t0", "t1"], micros=100)
    board.step()
    board.lose("ada")
    assert [board[f"t{number}"].rare.suspect for number in range(2, 6)] == [True, True, False, False]


def test_with_certain_word_only_one_of_several_that_ran_may_be_guilty() -> None:
    board = Board()
    board.worker("ada", slots=2)
    board.submit(task("a"), task("b"))
    board.lose("ada", ["a", "b"])
    assert [board[name].rare.suspect for name in "ab"] == [True, True]
    board.worker("bob", slots=2)
    board.complete(board.running("bob")[0])
    board.lose("bob", board.running("bob"))
    last = board["b"]
    assert (last.rare.deaths, last.rare.suspect) == (2, False)


def test_what_waits_for_other_tasks_did_not_kill_the_worker() -> None:
    board = Board(max_worker_deaths=1)
    board.worker("ada")
    board.submit(task("parent"))
    board.park("parent")
    board.submit(task("child"))
    board.lose("ada", ["child"])
    assert board.status("parent", "child") == [PENDING, FAILED]
    assert (board["parent"].rare.deaths, board["parent"].attempts) == (0, 1)


def test_what_had_waited_and_went_on_is_not_spared() -> None:
    board = Board(max_worker_deaths=1)
    board.worker("ada")
    board.submit(task("parent"))
    board.park("parent")  # and the word that it went on was lost with the worker
    board.lose("ada", ["parent"])
    assert board.status("parent") == [FAILED]


def test_a_task_that_is_being_cancelled_is_not_tried_again_when_its_worker_dies() -> None:
    board = busy()
    board.cancel("t")
    board.lose("ada", ["t"])
    assert board.status("t") == [CANCELLED]
    assert board.outcomes() == [("t", "cancelled")]
