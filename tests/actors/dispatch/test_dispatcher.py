from __future__ import annotations

import pytest

from callboard.actors.dispatch.command import Assign, Deliver, Publish
from callboard.messages.errors import UnknownTask
from callboard.messages.status import TaskStatus
from callboard.messages.wire import Ending
from tests.actors.dispatch.board import Board, task

PENDING, RUNNING, CANCELLED, COMPLETED = TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.CANCELLED, TaskStatus.COMPLETED


def test_what_is_told_in_one_go_is_seen_together() -> None:
    board = Board()
    board.worker("ada")
    board.dispatcher.submit("c", [task("low")], board.now)
    board.dispatcher.submit("c", [task("high", priority=1)], board.now)
    board.step()
    assert board.running("ada") == ["high"]


def test_what_is_for_one_addressee_is_together_in_a_step() -> None:
    board = Board()
    board.worker("ada", slots=3)
    board.worker("bob", slots=3)
    board.dispatcher.submit("c1", [task(f"t{number}") for number in range(4)], board.now)
    board.dispatcher.submit("c2", [task(f"u{number}") for number in range(2)], board.now)
    (assigned,) = board.step()
    assert isinstance(assigned, Assign)
    assert {name: len(entries) for name, entries in assigned.by_worker.items()} == {"ada": 3, "bob": 3}
    board.dispatcher.endings.wanted = {"task.completed"}
    for name in ("ada", "bob"):
        board.report_many(board.running(name), worker=name)
    made = board.step()
    assert sorted(command.client for command in made if isinstance(command, Deliver)) == ["c1", "c2"]
    (published,) = [command for command in made if isinstance(command, Publish)]
    assert len(published.notices) == 6


def test_a_status_is_right_before_during_and_after() -> None:
    board = Board()
    board.submit(task("t"))
    assert board.status("t") == [PENDING]
    board.worker("ada")
    assert board.status("t") == [RUNNING]
    board.complete("t")
    assert board.status("t") == [COMPLETED]
    with pytest.raises(UnknownTask):
        board.dispatcher.entry("unknown")


# -- cancelling ----------------------------------------------------------------------------------


def test_a_waiting_task_is_cancelled_at_once() -> None:
    board = Board()
    board.submit(task("ready"), task("blocked", "ready"), task("unknown", "never"))
    assert board.cancel("unknown", "ready", "no-such-task") == ["unknown", "ready"]
    assert board.outcomes() == [("unknown", "cancelled"), ("ready", "cancelled"), ("blocked", "skipped")]
    board.worker("ada")
    assert board.running("ada") == []


def test_a_task_is_cancelled_in_the_very_step_in_which_it_came() -> None:
    board = Board()
    board.worker("ada")
    board.dispatcher.submit("client", [task("a"), task("b")], board.now)
    board.cancel("a")
    assert board.running("ada") == ["b"]


def test_a_hundred_thousand_are_cancelled_in_the_step_in_which_they_came() -> None:
    board = Board()
    names = [f"t{number}" for number in range(100_000)]
    board.dispatcher.submit("client", [task(name) for name in names[:1]], board.now)
    spec = board[names[0]].category.spec
    from callboard.messages.task import Submission

    board.dispatcher.submit("client", [Submission(name, name, spec, b"") for name in names[1:]], board.now)
    assert len(board.cancel(*reversed(names))) == len(names)
    assert board.dispatcher.drained


def test_a_running_task_ends_cancelled_when_its_worker_has_stopped_it() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t"))
    assert board.cancel("t") == ["t"]
    assert board.status("t") == [RUNNING]
    (halt,) = board.halts()
    assert halt == ("ada", ["t"], False)
    board.report("t", Ending.CANCELLED, micros=300)
    assert board.outcomes() == [("t", "cancelled")]
    assert board["t"].attempts == 1


def test_what_completes_before_it_can_be_stopped_is_cancelled_all_the_same() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t"))
    board.cancel("t")
    board.report("t")
    assert board.outcomes() == [("t", "cancelled")]
    assert board["t"].output is None


def test_what_was_stopped_before_it_began_has_no_attempt() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t"))
    board.cancel("t")
    board.report("t", Ending.CANCELLED, micros=0)
    assert board["t"].attempts == 0


def test_by_force_the_worker_is_ended_when_it_does_not_stop() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t", timeout=600.0))
    board.cancel("t")
    board.later(10.0)
    assert board.kills() == []
    board.cancel("t", force=True)
    board.later(2.1)
    assert board.kills()[0] == ("ada", "did not stop task 't'")
    board.lose("ada", ["t"])
    assert board.outcomes() == [("t", "cancelled")]


def test_a_task_that_waits_to_be_tried_again_is_cancelled_at_once() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t"))
    board.report("t", Ending.FAILED, error="no", again=60.0)
    assert board.cancel("t") == ["t"]
    board.later(100.0)
    assert board.outcomes() == [("t", "cancelled")]
    assert board.running("ada") == []


def test_a_recalled_task_that_is_being_cancelled_ends_when_it_is_handed_back() -> None:
    board = Board()
    board.worker("ada")
    board.submit(*(task(f"t{number}") for number in range(3)))
    board.report("t0", micros=100)
    board.cancel("t2")
    board.hand_back("ada", "t2")
    assert board.status("t2") == [CANCELLED]


def test_what_has_ended_cannot_be_cancelled() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t"))
    board.complete("t")
    assert board.cancel("t") == []


# -- waiting for others ---------------------------------------------------------------------------


def test_a_waiting_task_lends_its_slot_and_takes_it_back() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("parent"))
    board.submit(task("child"), task("other"))
    assert board.running("ada") == ["parent"]
    board.park("parent")
    assert board.running("ada") == ["parent", "child"]
    assert board.status("child") == [RUNNING]
    board.park("parent", False)
    board.report("child", micros=1_000_000)
    assert board.running("ada") == ["parent"]
    board.report("parent", micros=1_000_000)
    assert board.running("ada") == ["other"]


def test_three_levels_of_tasks_that_wait_for_tasks_end_on_one_slot() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("one"))
    board.park("one")
    board.submit(task("two"))
    board.park("two")
    board.submit(task("three"))
    board.report("three", micros=1_000_000)
    board.park("two", False)
    board.report("two", micros=1_000_000)
    board.park("one", False)
    board.report("one", micros=1_000_000)
    assert board.dispatcher.drained
    assert not board.record("ada").parked


def test_words_of_strangers_and_for_strangers_are_ignored() -> None:
    board = Board()
    board.worker("ada")
    dispatcher = board.dispatcher
    dispatcher.park("nobody", "t", True, board.now)
    dispatcher.park("ada", "t", True, board.now)
    dispatcher.hand_back("nobody", ["t"], [1], board.now)
    dispatcher.hand_back("ada", ["t"], [1], board.now)
    dispatcher.leaving("nobody", board.now)
    dispatcher.lost("nobody", board.now, "gone")
    board.step()
    assert not board.record("ada").parked


def test_an_older_hand_back_does_not_take_a_newer_attempt_away() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t"))
    board.dispatcher.hand_back("ada", ["t"], [0], board.now)
    board.step()
    assert (board.running("ada"), board.fences["t"]) == (["t"], 1)
