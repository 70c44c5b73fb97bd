from __future__ import annotations

from callboard.messages.status import TaskStatus
from tests.actors.dispatch.board import Board, task

PENDING, FAILED, COMPLETED = TaskStatus.PENDING, TaskStatus.FAILED, TaskStatus.COMPLETED


def test_what_expires_names_what_it_needs_and_who_is_there() -> None:
    board = Board()
    board.worker("ada", {"oil": 3})
    board.worker("bob", role="other")
    board.submit(task("t", skills=(("oil", 5),), expires_in=1.0))
    board.later(0.9)
    assert board.status("t") == [PENDING]
    board.later(0.2)
    assert board.failure("t") == "NoCapableWorker"
    assert board["t"].error == (
        "no worker can take task 't': it needs role 'w' with skills oil=5; present: 1 x role 'w' (oil=3); 1 x role 'other'"
    )


def test_without_a_limit_a_worker_that_comes_later_takes_it() -> None:
    board = Board()
    board.submit(task("t"))
    board.later(1000.0)
    board.worker("ada")
    assert board.running("ada") == ["t"]


def test_it_does_not_expire_while_capable_workers_are_merely_busy() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("long"), task("t", expires_in=1.0))
    board.later(100.0)
    assert board.status("t") == [PENDING]
    board.report("long", micros=100_000_000)
    assert board.running("ada") == ["t"]


def test_the_time_begins_when_the_last_capable_worker_leaves() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("long"), task("t", expires_in=1.0))
    board.later(100.0)
    board.dispatcher.leaving("ada", board.now)
    board.later(0.9)
    assert board.status("t") == [PENDING]
    board.later(0.2)
    assert board.failure("t") == "NoCapableWorker"


def test_a_capable_worker_stops_the_time() -> None:
    board = Board()
    board.submit(task("filler"), task("t", expires_in=1.0))
    board.later(0.9)
    board.worker("ada")
    board.later(0.9)
    board.lose("ada", [])
    board.later(0.9)
    assert board.status("t") == [PENDING]
    board.later(0.2)
    assert board.status("t") == [FAILED]


def test_what_waits_for_its_dependencies_does_not_expire() -> None:
    board = Board()
    board.worker("other", role="other")
    board.submit(task("t", "early", expires_in=1.0), task("early", role="other"))
    board.later(50.0)
    assert board.status("t") == [PENDING]
    board.complete("early")
    board.later(0.9)
    assert board.status("t") == [PENDING]
    board.later(0.2)
    assert board.status("t") == [FAILED]


def test_a_want_is_warned_of_after_five_seconds() -> None:
    board = Board()
    board.worker("ada", {"oil": 1})
    board.submit(task("a", skills=(("oil", 5),)), task("b", skills=(("oil", 5),)))
    board.later(4.9)
    assert board.warnings() == []
    board.later(0.2)
    assert board.warnings() == ["2 task(s) wait for a worker with role 'w' with skills oil=5; present: 1 x role 'w' (oil=1)"]
    board.later(100.0)
    assert len(board.warnings()) == 1


def test_what_comes_later_is_warned_of_as_well() -> None:
    board = Board()
    board.submit(task("a"))
    board.later(100.0)
    board.submit(task("b"))
    board.later(10.0)
    assert board.warnings() == [f"{count} task(s) wait for a worker with role 'w'; no worker is present" for count in (1, 2)]


def test_what_was_served_in_time_is_not_warned_of() -> None:
    board = Board()
    board.submit(task("a"))
    board.later(4.0)
    board.worker("ada")
    board.later(10.0)
    assert board.warnings() == []


def test_at_the_end_what_nobody_could_take_fails() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("a"), task("b", role="other"), task("c", "b"))
    board.close()
    assert board.failure("b") == "NoCapableWorker"
    assert board.status("c") == [TaskStatus.SKIPPED]
    board.complete("a")
    assert board.dispatcher.drained


def test_at_the_end_a_local_worker_that_is_being_started_is_waited_for() -> None:
    board = Board()
    board.dispatcher.roster.expected["7"] = "w", {"oil": 5}
    board.submit(task("a", skills=(("oil", 2),)), task("b", skills=(("oil", 6),)))
    board.close()
    assert board.failure("b") == "NoCapableWorker"
    assert board.status("a") == [PENDING]
    board.worker("ada", {"oil": 5}, token="7.1")
    assert board.running("ada") == ["a"]


def test_at_the_end_a_local_worker_that_was_given_up_is_waited_for_no_longer() -> None:
    board = Board()
    board.dispatcher.roster.expected["7"] = "w", {}
    board.submit(task("a"))
    board.close()
    del board.dispatcher.roster.expected["7"]
    board.dispatcher.check_short(board.now)
    board.step()
    assert board.failure("a") == "NoCapableWorker"


def test_after_the_end_a_death_leaves_nothing_waiting() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("a"), task("b"))
    board.close()
    board.lose("ada", ["a"])
    assert [board.failure(name) for name in "ab"] == ["NoCapableWorker", "NoCapableWorker"]


def test_after_the_end_what_becomes_ready_without_a_taker_fails() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("a"), task("b", "a", role="other"))
    board.close()
    board.complete("a")
    assert board.failure("b") == "NoCapableWorker"


def test_workers_that_come_and_go_leave_no_deadlines_behind() -> None:
    board = Board()
    board.submit(*(task(f"t{number}", expires_in=1000.0, skills=(("rare", 9),)) for number in range(50)))
    for number in range(200):
        board.worker(f"w{number}", {"rare": 9}, slots=1)
        board.lose(f"w{number}", [])
    assert len(board.dispatcher.agenda._heap) < 500
