from __future__ import annotations

from typing import Any

from callboard.messages.spec import BreakerNumbers, RetryNumbers
from callboard.messages.status import TaskStatus
from callboard.messages.task import Submission
from callboard.messages.wire import Ending
from tests.actors.dispatch.board import Board, task

FAILED, COMPLETED, PENDING = TaskStatus.FAILED, TaskStatus.COMPLETED, TaskStatus.PENDING


def guarded(task_id: str, **more: Any) -> Submission:
    return task(task_id, breaker_key="pay", breaker=BreakerNumbers(failure_threshold=2, recovery_seconds=10.0), **more)


def opened() -> Board:
    board = Board()
    board.worker("ada", slots=2)
    for name in ("a", "b"):
        board.submit(guarded(name))
        board.report(name, Ending.FAILED, error="no")
    return board


def test_after_failures_in_a_row_the_next_is_refused_without_being_tried() -> None:
    board = opened()
    board.submit(guarded("c"))
    assert board.status("c") == [FAILED]
    assert board.failure("c") == "CircuitOpen"
    assert "'pay' is open" in str(board["c"].error)
    assert board["c"].attempts == 0
    assert "circuit.open" in board.topics()


def test_others_are_not_concerned() -> None:
    board = opened()
    board.submit(task("free"), task("other", breaker_key="other", breaker=BreakerNumbers()))
    assert board.running("ada") == ["free", "other"]


def test_a_refused_task_may_have_a_fallback() -> None:
    board = opened()
    board.submit(guarded("c", fallback=b"later"))
    assert board.status("c") == [COMPLETED]
    assert board["c"].output == b"later"


def test_after_a_while_one_is_tried_and_closes_it() -> None:
    board = opened()
    board.now += 10.0
    board.submit(guarded("c"), guarded("d"))
    assert board.running("ada") == ["c"]
    assert board.status("d") == [FAILED]
    board.complete("c")
    board.submit(guarded("e"))
    assert board.running("ada") == ["e"]
    assert [topic for topic in board.topics() if topic.startswith("circuit")] == ["circuit.open", "circuit.half_open", "circuit.closed"]


def test_a_trial_that_tells_nothing_can_be_made_again() -> None:
    for end in ("cancel", "lose", "kill"):
        board = opened()
        board.now += 10.0
        board.submit(guarded("c"))
        if end == "cancel":
            board.cancel("c")
            board.report("c", Ending.CANCELLED)
        elif end == "lose":
            board.lose("ada", [])
            board.cancel("c")
            board.worker("bob")
        else:
            board.cancel("c")
            board.lose("ada", ["c"])
            board.worker("bob")
        board.submit(guarded("d"))
        assert board.status("d") == [TaskStatus.RUNNING], end


def test_what_was_never_tried_is_no_failure_of_the_circuit() -> None:
    board = Board()
    for number in range(5):
        board.submit(guarded(f"t{number}", expires_in=1.0))
    board.later(2.0)
    assert board.failure("t4") == "NoCapableWorker"
    board.worker("ada")
    board.submit(guarded("t5"))
    assert board.running("ada") == ["t5"]


def test_each_failed_attempt_counts() -> None:
    board = Board()
    board.worker("ada")
    board.submit(guarded("a", retry=RetryNumbers(max_attempts=9)))
    board.report("a", Ending.FAILED, again=0.0, error="no")
    board.later(0.1)
    board.report("a", Ending.FAILED, again=0.0, error="no")
    board.later(0.1)
    assert board.status("a") == [FAILED]
    assert board.failure("a") == "CircuitOpen"


def test_a_suspect_that_must_wait_does_not_use_up_the_trial() -> None:
    board = opened()
    board.now += 10.0
    board.submit(guarded("c"))
    board.lose("ada")
    board.worker("bob", slots=2)
    board.complete("c")
    assert board.status("c") == [COMPLETED]
    board.submit(guarded("d"))
    assert board.running("bob") == ["d"]
