from __future__ import annotations

import pytest

from callboard.actors.dispatch.credit import MAX_AHEAD, ahead_allowed
from callboard.actors.dispatch.matcher import MAX_FENCES, MAX_LOOKS
from callboard.actors.dispatch.record import WorkerInfo
from callboard.messages.status import TaskStatus
from tests.actors.dispatch.board import Board, task

# -- who -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(2, 5, 8), (8, 5, 2), (5, 8, 2)])
def test_each_task_goes_to_the_least_skilled_worker_that_qualifies(order: tuple[int, ...]) -> None:
    board = Board()
    for level in (9, 3, 6):
        board.worker(f"level-{level}", {"paint": level})
    board.submit(*(task(f"needs-{level}", skills=(("paint", level),)) for level in order))
    assert board.where == {"needs-2": "level-3", "needs-5": "level-6", "needs-8": "level-9"}


def test_masters_stay_free_when_tasks_come_one_by_one() -> None:
    board = Board()
    for level in (9, 6, 3):
        board.worker(f"level-{level}", {"paint": level})
    board.submit(task("easy", skills=(("paint", 1),)))
    assert board.where["easy"] == "level-3"
    board.submit(task("second", skills=(("paint", 1),)))
    assert board.where["second"] == "level-6"


def test_levels_count_tag_by_tag() -> None:
    board = Board()
    board.worker("oil", {"oil": 9})
    board.worker("gpu", {"gpu": 1, "oil": 4})
    board.worker("both", {"gpu": 1, "oil": 7})
    board.submit(task("t", skills=(("gpu", 1), ("oil", 5))))
    assert board.where == {"t": "both"}


def test_only_the_needed_tags_make_a_worker_expensive() -> None:
    board = Board()
    board.worker("scholar", {"oil": 5, "latin": 9})
    board.worker("master", {"oil": 6})
    board.submit(task("t", skills=(("oil", 5),)))
    assert board.where == {"t": "scholar"}


def test_another_role_does_not_take_it() -> None:
    board = Board()
    board.worker("ada", {"a": 9}, role="other")
    board.submit(task("t", skills=(("a", 1),)))
    assert board.where == {}
    board.worker("bob", {"a": 1})
    assert board.where == {"t": "bob"}


def test_carried_work_goes_to_any_role_that_has_the_skills() -> None:
    board = Board()
    board.worker("dear", {"a": 5}, role="x")
    board.worker("cheap", {"a": 2}, role="y")
    board.submit(task("t", role=None, skills=(("a", 1),)))
    assert board.where == {"t": "cheap"}


def test_among_equals_the_longest_idle_then_the_first_to_join() -> None:
    board = Board()
    board.worker("first")
    board.worker("second")
    board.submit(task("a"))
    assert board.where["a"] == "first"
    board.now += 1.0
    board.complete("a")
    board.submit(task("b"))
    assert board.where["b"] == "second"
    board.now += 1.0
    board.complete("b")
    board.submit(task("c"))
    assert board.where["c"] == "first"


def test_a_worker_of_three_slots_runs_three() -> None:
    board = Board()
    board.worker("ada", slots=3)
    board.submit(*(task(f"t{number}") for number in range(5)))
    assert board.running("ada") == ["t0", "t1", "t2"]


# -- in which order ------------------------------------------------------------------------------


def test_priority_comes_before_age() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("running"))
    board.submit(task("old"), task("high", priority=5), task("older-low", priority=-1))
    board.submit(task("higher", priority=6))
    taken = []
    for _ in range(5):
        (now_running,) = board.running("ada")
        taken.append(now_running)
        board.report(now_running, micros=1_000_000)
    assert taken == ["running", "higher", "high", "old", "older-low"]


def test_priority_holds_between_different_needs() -> None:
    board = Board()
    board.worker("ada", {"a": 1, "b": 1})
    board.submit(task("running"))
    board.submit(task("a", skills=(("a", 1),)), task("b", skills=(("b", 1),), priority=1))
    board.report("running", micros=1_000_000)
    assert board.running("ada") == ["b"]


def test_a_returned_task_keeps_its_age() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("first"), task("second"))
    board.lose("ada", [])
    board.worker("bob")
    assert board.running("bob") == ["first"]


# -- ahead ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "timeout", "allowed"),
    [(1.0, None, 500), (8.0, None, 500), (1000.0, None, 4), (5000.0, None, 0), (1.0, 9.0, 0)],
)
def test_ahead_is_a_few_milliseconds_of_work(mean: float, timeout: float | None, allowed: int) -> None:
    assert ahead_allowed(mean, timeout) == allowed <= MAX_AHEAD


def test_short_tasks_are_sent_ahead_once_they_are_measured() -> None:
    board = Board()
    board.worker("ada")
    board.submit(*(task(f"t{number}") for number in range(100)))
    assert len(board.running("ada")) == 1
    board.report("t0", micros=400)
    assert len(board.running("ada")) == 1 + 10
    assert board.status("t1", "t2") == [TaskStatus.RUNNING, TaskStatus.PENDING]


def test_long_tasks_go_one_at_a_time() -> None:
    board = Board()
    board.worker("ada")
    board.submit(*(task(f"t{number}") for number in range(10)))
    board.report("t0", micros=50_000)
    assert board.running("ada") == ["t1"]


def test_tasks_with_a_timeout_or_a_breaker_do_not_wait_at_a_worker() -> None:
    board = Board()
    board.worker("ada")
    board.submit(*(task(f"t{number}", timeout=1.0) for number in range(5)))
    board.report("t0", micros=10)
    assert board.running("ada") == ["t1"]


def test_what_is_sent_ahead_is_shared_among_the_busy() -> None:
    board = Board()
    board.worker("ada")
    board.worker("bob")
    board.submit(*(task(f"t{number}") for number in range(42)))
    board.report_many(["t0"], micros=100, worker="ada")
    board.report_many(["t1"], micros=100, worker="bob")
    board.step()
    assert [len(board.running(name)) for name in ("ada", "bob")] == [20, 20]


def test_cancelled_attempts_are_no_measure() -> None:
    board = Board()
    board.worker("ada")
    board.submit(*(task(f"t{number}") for number in range(5)))
    board.cancel("t0")
    board.report("t0", ending=2, micros=0)
    assert board["t1"].category.mean is None
    assert board.running("ada") == ["t1"]


# -- and back ------------------------------------------------------------------------------------


def loaded_board() -> Board:
    """Ada runs t1 and has t2 to t9 waiting."""
    board = Board()
    board.worker("ada")
    board.submit(*(task(f"t{number}") for number in range(10)))
    board.report("t0", micros=200)
    assert len(board.running("ada")) == 9
    return board


def test_half_of_what_waits_is_recalled_for_an_idle_worker() -> None:
    board = loaded_board()
    board.worker("bob")
    board.later(0.01)
    (recall,) = board.recalls()
    assert recall == ("ada", ["t6", "t7", "t8", "t9"])
    board.hand_back("ada", *recall.ids)
    assert board.running("ada") == ["t1", "t2", "t3", "t4", "t5"]
    assert board.running("bob") == ["t6", "t7", "t8", "t9"]


def test_nothing_is_recalled_for_an_idle_worker_that_could_not_take_it() -> None:
    board = loaded_board()
    board.worker("bob", role="other")
    board.later(1.0)
    assert board.recalls() == []


def test_what_waits_at_a_worker_is_recalled_for_what_is_more_urgent() -> None:
    board = loaded_board()
    board.submit(task("urgent", priority=1))
    board.later(0.01)
    (recall,) = board.recalls()
    assert recall == ("ada", [f"t{number}" for number in range(2, 10)])
    board.hand_back("ada", *recall.ids)
    board.report("t1", micros=10_000_000)
    assert board.running("ada") == ["urgent"]
    board.submit(task("more", priority=1))
    board.later(1.0)
    assert len(board.recalls()) == 1


def test_only_what_is_before_something_more_urgent_is_recalled() -> None:
    board = Board()
    board.worker("ada")
    for measured in (0, 1, 2):
        board.submit(task(f"first of {measured}", priority=measured))
        board.report(f"first of {measured}", micros=10)
    board.submit(task("running"))
    board.submit(*(task(f"t{number}", priority=number) for number in (1, 2, 0)))
    board.later(1.0)
    assert board.running("ada") == ["running", "t2", "t1", "t0"] and board.recalls() == []
    board.submit(task("late", priority=1))
    board.later(0.01)
    (recall,) = board.recalls()
    assert recall == ("ada", ["t0"])
    board.hand_back("ada", "t0")
    assert board.running("ada") == ["running", "t2", "t1", "late"]


def test_nothing_is_recalled_for_what_is_more_urgent_and_not_for_that_worker() -> None:
    board = loaded_board()
    board.submit(task("urgent", role="other", priority=1), task("as urgent"))
    board.later(1.0)
    assert board.recalls() == []


def test_a_worker_is_asked_once_until_it_has_answered() -> None:
    board = loaded_board()
    board.worker("bob")
    board.later(0.1)
    board.submit(task("more", priority=-1))
    board.later(0.1)
    assert len(board.recalls()) == 1


def test_the_last_one_that_waits_behind_a_long_task_is_recalled_as_well() -> None:
    board = Board()
    board.worker("ada")
    board.submit(*(task(f"t{number}") for number in range(3)))
    board.report("t0", micros=200)
    assert board.running("ada") == ["t1", "t2"]
    board.worker("bob")
    board.later(0.01)
    board.hand_back("ada", *board.recalls()[0].ids)
    assert board.where["t2"] == "bob"


def test_a_rebalancing_looks_at_a_bounded_number() -> None:
    board = Board()
    for number in range(20):
        board.worker(f"busy-{number}")
    board.submit(*(task(f"t{number}") for number in range(20)))
    board.submit(*(task(f"more-{number}") for number in range(20 * MAX_AHEAD)))
    for number in range(20):
        board.report_many([f"t{number}"], micros=1)
    board.step()
    waiting = sum(len(worker.queued()) for worker in board.dispatcher.roster.workers.values())
    assert waiting > 2 * MAX_LOOKS
    board.worker("other", role="other")
    matcher = board.dispatcher._matcher
    seen: list[str] = []
    for worker in board.dispatcher.roster.workers.values():
        worker.queued()
    before = list(board.dispatcher.roster.loaded)
    matcher.rebalance()
    after = list(board.dispatcher.roster.loaded)
    assert board.recalls() == [] and seen == []
    assert before[0] is not after[0], "those that were looked at go to the end of the row"
    assert set(before) == set(after)


# -- under which number -----------------------------------------------------------------------------------


def test_managers_number_their_assignments_apart() -> None:
    first, second = Board(), Board(fences=3 * MAX_FENCES)
    for board in (first, second):
        board.worker("ada")
        board.submit(task("t"))
    assert (first.fences["t"], second.fences["t"]) == (1, 3 * MAX_FENCES + 1)
    second.dispatcher.lost("ada", second.now, "was lost", [])
    second.worker("bob")
    assert second.fences["t"] == 3 * MAX_FENCES + 2


def test_after_an_attempt_of_an_earlier_manager_the_next_has_a_number_of_this_one() -> None:
    board = Board(fences=3 * MAX_FENCES)
    board.dispatcher.join(WorkerInfo("ada", "ada", "w", {}, 1), board.now, 0.0, [("t", MAX_FENCES + 5)], same_epoch=False)
    board.submit(task("t"))
    assert board.dispatcher.entry("t").fence == MAX_FENCES + 5
    board.dispatcher.lost("ada", board.now, "was lost", [])
    board.worker("bob")
    assert board.where["t"] == "bob" and board.fences["t"] == 3 * MAX_FENCES + 1
