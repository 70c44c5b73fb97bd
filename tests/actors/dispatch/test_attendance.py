from __future__ import annotations

import pytest

from callboard.messages.status import TaskStatus
from callboard.messages.wire import Ending
from tests.actors.dispatch.board import Board, task

PENDING, RUNNING, COMPLETED = TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.COMPLETED


def sent_ahead(count: int = 6) -> Board:
    """Ada runs t1 and has the others waiting."""
    board = Board()
    board.worker("ada")
    board.submit(*(task(f"t{number}") for number in range(count)))
    board.report("t0", micros=100)
    return board


# -- the same record -----------------------------------------------------------------------------


def test_what_a_reconnected_worker_never_got_is_assigned_anew() -> None:
    board = sent_ahead()
    held = [("t1", 1), ("t2", 1)]
    assert board.join("ada", held=held) == []
    assert board.running("ada") == ["t1", "t2", "t3", "t4", "t5"]
    assert [board.fences[f"t{number}"] for number in range(1, 6)] == [1, 1, 2, 2, 2]
    assert [board[f"t{number}"].rare.deaths for number in range(1, 6)] == [0] * 5


def test_a_reconnected_worker_drops_what_is_no_longer_its_own() -> None:
    board = sent_ahead(2)
    assert board.join("ada", held=[("t1", 1), ("t0", 1), ("unknown", 3)]) == ["t0", "unknown"]
    assert board.record("ada").foreign == {}


def test_a_halt_that_was_lost_is_said_again() -> None:
    board = sent_ahead(2)
    board.cancel("t1")
    board.join("ada", held=[("t1", 1)])
    assert [halt.ids for halt in board.halts()] == [["t1"], ["t1"]]


def test_a_recall_that_was_lost_does_not_block_the_next() -> None:
    board = sent_ahead()
    board.worker("bob", slots=2)
    board.later(0.1)
    assert len(board.recalls()) == 1
    board.join("ada", held=[(f"t{number}", 1) for number in range(1, 6)])
    board.later(0.1)
    assert len(board.recalls()) == 2


# -- lost and back -------------------------------------------------------------------------------


def test_a_worker_that_comes_back_goes_on_with_what_nobody_else_was_given() -> None:
    board = sent_ahead(4)
    board.lose("ada", None, "cannot be reached any more")
    assert board.status("t1", "t2", "t3") == [PENDING, PENDING, PENDING]
    assert board.join("ada", held=[("t1", 1), ("t2", 1), ("t3", 1)]) == []
    assert board.running("ada") == ["t1", "t2", "t3"]
    assert [board.fences[name] for name in ("t1", "t2", "t3")] == [1, 1, 1]
    board.complete("t1")
    assert board.outcomes()[-1] == ("t1", "completed")
    assert (board["t1"].attempts, board["t1"].rare.deaths, board["t1"].rare.suspect) == (1, 0, False)


def test_a_worker_that_was_cut_off_three_times_killed_nothing() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t"))
    for _ in range(5):
        board.lose("ada", None, "cannot be reached any more")
        board.join("ada", held=[("t", 1)])
    board.complete("t")
    assert board.outcomes() == [("t", "completed")]


def test_what_was_given_to_another_meanwhile_is_dropped_and_its_late_result_ignored() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t"))
    board.lose("ada", None, "cannot be reached any more")
    board.worker("bob")
    assert board.where["t"] == "bob"
    assert board.join("ada", held=[("t", 1)]) == ["t"]
    stale = board.dispatcher.stale
    board.report("t", output=b"late", worker="ada", fence=1)
    assert board.dispatcher.stale == stale + 1
    assert board.status("t") == [RUNNING]
    board.report("t", output=b"right")
    assert board["t"].output == b"right"


def test_what_a_returned_worker_still_runs_takes_its_slot() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t"))
    board.lose("ada")
    board.worker("bob")
    board.join("ada", held=[("t", 1)])
    board.submit(task("next"))
    assert "next" not in board.where
    board.report("t", worker="ada", fence=1)
    assert board.where["next"] == "ada"


def test_what_waits_behind_an_old_attempt_is_not_blamed() -> None:
    board = Board()
    board.worker("ada", slots=2)
    board.submit(task("t"))
    board.lose("ada", [])
    board.worker("bob")
    board.join("ada", held=[("t", 1)], slots=2)
    board.submit(task("a"), task("b"))
    assert board.running("ada") == ["a"]
    board.join("ada", held=[("t", 1), ("a", 1)], slots=2)
    board.lose("ada")
    assert board["a"].rare.deaths == 1


def test_a_handed_back_old_attempt_frees_its_slot() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t"))
    board.lose("ada", [])
    board.worker("bob")
    board.join("ada", held=[("t", 1)])
    board.dispatcher.hand_back("ada", ["t"], [1], board.now)
    board.submit(task("next"))
    assert board.where["next"] == "ada"


def test_of_an_old_attempt_nothing_more_is_heard_once_a_newer_one_of_it_has_ended() -> None:
    board = Board()
    board.worker("ada", slots=2)
    board.submit(task("t"))
    board.lose("ada", [])
    board.worker("bob")
    board.join("ada", held=[("t", 1)], slots=2)
    board.lose("bob", [])
    assert (board.where["t"], board.fences["t"]) == ("ada", 3)
    board.complete("t")
    assert board.record("ada").foreign == {}


def test_a_task_that_waits_to_be_tried_again_is_not_taken_up() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t"))
    board.report("t", Ending.FAILED, error="no", again=5.0)
    board.lose("ada", [])
    assert board.join("ada", held=[("t", 1)]) == ["t"]
    board.report("t", Ending.FAILED, error="no", again=5.0, worker="ada", fence=1)
    assert board["t"].rare.failures == 1
    board.later(6.0)
    assert board.running("ada") == ["t"]


def test_an_answer_of_an_unknown_worker_asks_it_to_join_again() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("t"))
    board.lose("ada", [])
    assert board.report("t", worker="ada") is False
    assert board.dispatcher.stale == 1
    assert board.status("t") == [PENDING]


def test_an_answer_for_what_a_worker_was_never_given_is_counted_and_ignored() -> None:
    board = Board()
    board.worker("ada")
    board.worker("bob")
    board.submit(task("t"))
    assert board.report("t", worker="bob") is True
    assert board.report("unheard-of", worker="bob", fence=1) is True
    assert board.dispatcher.stale == 2
    assert board.status("t") == [RUNNING]


# -- leaving -------------------------------------------------------------------------------------


def test_a_leaving_worker_finishes_and_gets_nothing_more() -> None:
    board = Board()
    board.dispatcher.endings.wanted = {"worker.left", "worker.lost"}
    board.worker("ada", slots=2)
    board.submit(task("a"))
    board.dispatcher.leaving("ada", board.now)
    board.dispatcher.leaving("ada", board.now)
    board.submit(task("b"))
    assert board.running("ada") == ["a"]
    board.complete("a")
    board.lose("ada", [], "left")
    assert board.topics() == ["worker.left"]
    assert board.status("a", "b") == [COMPLETED, PENDING]


def test_a_leaving_worker_that_dies_is_told_as_lost() -> None:
    board = Board()
    board.dispatcher.endings.wanted = {"worker.left", "worker.lost"}
    board.worker("ada")
    board.submit(task("a"))
    board.dispatcher.leaving("ada", board.now)
    board.lose("ada", ["a"])
    assert board.topics() == ["worker.left", "worker.lost"]


def test_what_a_leaving_worker_hands_back_goes_to_another() -> None:
    board = sent_ahead(3)
    board.worker("bob")
    board.dispatcher.leaving("ada", board.now)
    board.hand_back("ada", "t2")
    assert board.where["t2"] == "bob"
    assert board["t2"].attempts == 0


def test_two_workers_of_one_name_are_told_apart() -> None:
    board = Board()
    board.worker("id-1")
    board.worker("id-2")
    board.submit(task("a"), task("b"))
    board.lose("id-1", ["a"])
    assert board.running("id-2") == ["b"]


# -- a manager that was started again ------------------------------------------------------------


def test_a_running_attempt_of_an_earlier_manager_is_taken_up_when_its_task_is_submitted() -> None:
    board = Board()
    assert board.join("ada", held=[("t", 7)], same_epoch=False) == []
    board.submit(task("other"))
    assert "other" not in board.where, "the slot is taken"
    board.submit(task("t"), again=True)
    assert (board.running("ada"), board["t"].fence) == (["t"], 7)
    board.report("t", fence=7, worker="ada")
    assert board.outcomes() == [("t", "completed")]
    assert board.where["other"] == "ada"


def test_a_task_that_was_submitted_first_is_taken_up_as_well() -> None:
    board = Board()
    board.submit(task("t"), again=True)
    assert board.join("ada", held=[("t", 7)], same_epoch=False) == []
    assert board.running("ada") == ["t"]


def test_a_task_that_another_worker_has_by_now_is_dropped() -> None:
    board = Board()
    board.submit(task("t"), again=True)
    board.worker("bob")
    assert board.join("ada", held=[("t", 7)], same_epoch=False) == ["t"]
    board.report("t", worker="ada", fence=7)
    assert board.status("t") == [RUNNING]


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")])
def test_attempts_keep_the_order_in_which_the_worker_begins_them(order: tuple[str, ...]) -> None:
    board = Board()
    board.join("ada", held=[("a", 1), ("b", 1), ("c", 1)], same_epoch=False)
    for name in order:
        board.submit(task(name), again=True)
    assert board.running("ada") == ["a", "b", "c"]
    board.lose("ada")
    assert [board[name].rare.deaths for name in "abc"] == [1, 0, 0]


def test_a_result_that_came_before_its_task_was_submitted_is_kept() -> None:
    board = Board()
    board.join("ada", held=[("good", 2), ("bad", 1)], slots=2, same_epoch=False)
    board.report("good", output=b"kept", worker="ada", fence=2)
    board.report("bad", Ending.FAILED, error="no", worker="ada", fence=1)
    board.submit(task("good"), task("bad"), again=True)
    assert board.outcomes() == [("good", "completed"), ("bad", "failed")]
    assert (board["good"].output, board["good"].worker_name, board["good"].attempts) == (b"kept", "ada", 1)
    assert len(board.dispatcher._attendance.strays) == 0


def test_a_result_that_asks_for_another_attempt_gets_it() -> None:
    board = Board()
    board.join("ada", held=[("t", 1)], same_epoch=False)
    board.report("t", Ending.FAILED, error="no", again=1.0, worker="ada", fence=1)
    board.submit(task("t"), again=True)
    assert board.status("t") == [PENDING]
    board.later(2.0)
    assert board.running("ada") == ["t"]


def test_what_a_lost_worker_had_of_an_earlier_manager_is_run_anew() -> None:
    board = Board()
    board.join("ada", held=[("t", 7)], same_epoch=False)
    board.lose("ada")
    assert len(board.dispatcher._attendance.strays) == 0
    board.worker("bob")
    board.submit(task("t"), again=True)
    assert board.where["t"] == "bob"


def test_what_a_worker_hands_back_to_a_new_manager_is_no_longer_expected() -> None:
    board = Board()
    board.join("ada", held=[("t", 7)], same_epoch=False)
    board.dispatcher.hand_back("ada", ["t"], [7], board.now)
    assert len(board.dispatcher._attendance.strays) == 0


def test_a_taken_up_attempt_need_not_wait_for_its_dependencies_again() -> None:
    board = Board()
    board.join("ada", held=[("t", 3)], slots=2, same_epoch=False)
    board.submit(task("t", "gone"), again=True)
    assert board.running("ada") == ["t"]
    board.report("t", worker="ada", fence=3)
    assert board.status("t") == [COMPLETED]
    assert board.dispatcher.ledger.awaited == {}


def test_a_taken_up_attempt_that_is_cut_short_waits_for_its_dependencies_again() -> None:
    board = Board()
    board.join("ada", held=[("t", 3)], same_epoch=False)
    board.submit(task("t", "again"), again=True)
    board.lose("ada", ["t"])
    board.worker("bob")
    assert board.running("bob") == []
    board.submit(task("again"), again=True)
    board.complete("again")
    assert board.running("bob") == ["t"]


def test_a_taken_up_attempt_goes_on_when_its_dependency_fails_and_is_skipped_when_it_is_cut_short() -> None:
    board = Board()
    board.join("ada", held=[("t", 3)], slots=2, same_epoch=False)
    board.submit(task("t", "again"), task("again"), again=True)
    board.report("again", Ending.FAILED, error="no")
    assert board.status("t") == [RUNNING]
    board.lose("ada", ["t"])
    assert board.status("t") == [TaskStatus.SKIPPED]


def test_a_taken_up_attempt_is_watched_for_its_timeout() -> None:
    board = Board()
    board.join("ada", held=[("t", 3)], same_epoch=False)
    board.submit(task("t", timeout=1.0), again=True)
    board.later(4.0)
    assert len(board.kills()) >= 1


def test_a_parent_that_waits_since_before_lends_its_slot() -> None:
    board = Board()
    board.join("ada", held=[("parent", 3)], same_epoch=False)
    board.dispatcher.park("ada", "parent", True, board.now)
    board.submit(task("child"), again=True)
    assert board.where["child"] == "ada"


# -- whose fault it is -----------------------------------------------------------------------------------


def test_nothing_is_blamed_for_a_death_that_was_ordered_whatever_the_record_says() -> None:
    board = Board(max_worker_deaths=1)
    board.worker("ada", slots=2)
    board.submit(task("one"), task("two"))
    board.dispatcher.lost("ada", board.now, "was ended", ["one", "two"], ordered=True)
    board.worker("bob", slots=2)
    assert board.status("one", "two") == [RUNNING, RUNNING] and board.where["one"] == "bob"
    board.lose("bob", ["one"])
    assert board.status("one", "two") == [TaskStatus.FAILED, TaskStatus.PENDING]


def waiting_and_lost(board: Board, name: str, running: list[str] | None = None) -> None:
    """The task begins to wait on a worker, of which nothing more is heard."""
    board.worker(name)
    assert board.where["parent"] == name
    board.dispatcher.park(name, "parent", True, board.now)
    board.dispatcher.lost(name, board.now, "cannot be reached any more", running)
    board.step()


def test_a_task_that_goes_on_and_kills_remote_workers_is_given_up() -> None:
    board = Board(max_worker_deaths=2)
    board.submit(task("parent"))
    deaths = 0
    while board.status("parent") != [TaskStatus.FAILED]:
        deaths += 1
        assert deaths <= 4
        waiting_and_lost(board, f"remote-{deaths}")
    failure = board.dispatcher.entry("parent").failure
    assert deaths == 4 and failure is not None and failure.type_name == "WorkerDied"


def test_a_waiting_task_is_never_blamed_for_a_local_worker_that_notes_what_it_runs() -> None:
    board = Board(max_worker_deaths=2)
    board.submit(task("parent"))
    for number in range(9):
        waiting_and_lost(board, f"local-{number}", running=[])
    assert board.status("parent") == [TaskStatus.PENDING] and board.dispatcher.entry("parent").rare.deaths == 0


def test_a_waiting_task_whose_worker_comes_back_has_killed_nobody() -> None:
    board = Board(max_worker_deaths=2)
    board.submit(task("parent"))
    board.worker("remote")
    fence = board.dispatcher.entry("parent").fence
    for _ in range(9):
        board.dispatcher.park("remote", "parent", True, board.now)
        board.dispatcher.lost("remote", board.now, "cannot be reached any more")
        board.step()
        board.join("remote", held=[("parent", fence)])
        assert board.running("remote") == ["parent"]
    assert board.dispatcher.entry("parent").rare.deaths == 0
