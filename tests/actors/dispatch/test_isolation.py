from __future__ import annotations

from callboard.messages.status import TaskStatus
from tests.actors.dispatch.board import Board, task

PENDING, COMPLETED, FAILED = TaskStatus.PENDING, TaskStatus.COMPLETED, TaskStatus.FAILED


def suspected(*names: str, slots: int = 2, **settings: int) -> Board:
    board = Board(**settings)
    board.worker("lost", slots=slots)
    board.submit(*(task(name) for name in names))
    board.lose("lost")
    return board


def test_a_suspect_runs_alone() -> None:
    board = suspected("a", "b")
    board.worker("ada", slots=4)
    assert board.running("ada") == ["a"]
    board.submit(task("good"))
    assert board.running("ada") == ["a"]
    board.complete("a")
    assert board.running("ada") == ["b"]
    board.complete("b")
    assert board.running("ada") == ["good"]


def test_only_the_guilty_reaches_the_limit() -> None:
    board = suspected("good", "bad", max_worker_deaths=3)
    for number in range(6):
        name = f"w{number}"
        board.worker(name, slots=2)
        while running := board.running(name):
            if "bad" in running:
                board.lose(name)
                break
            board.complete(*running)
    assert board.status("good", "bad") == [COMPLETED, FAILED]
    assert board.failure("bad") == "WorkerDied"


def test_where_everybody_is_busy_one_is_kept_free_for_it() -> None:
    board = Board()
    board.worker("ada", slots=2)
    board.worker("bob", slots=2)
    board.submit(*(task(f"old-{number}") for number in range(4)))
    board.worker("lost", slots=1)
    board.submit(task("suspect"))
    board.lose("lost")
    board.submit(*(task(f"new-{number}") for number in range(10)))
    company: list[list[str]] = []
    while board.status("suspect") != [COMPLETED]:
        for name in ("ada", "bob"):
            if "suspect" in board.running(name):
                company.append(board.running(name))
            board.report(board.running(name)[0], micros=1_000_000)
    assert company == [["suspect"]]
    assert board.dispatcher.ledger.open > 0, "a stream of work did not keep it waiting"


def test_the_child_of_a_waiting_parent_runs_beside_it_though_suspected() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("parent"))
    board.worker("lost")
    board.submit(task("child"))
    assert board.where == {"parent": "ada", "child": "lost"}
    board.park("parent")
    board.lose("lost")
    assert board["child"].rare.suspect
    assert board.running("ada") == ["parent", "child"]


def test_a_suspect_that_waits_for_others_lets_them_run() -> None:
    board = suspected("parent", slots=1)
    board.worker("ada")
    board.submit(task("child"))
    assert board.running("ada") == ["parent"]
    board.park("parent")
    assert board.running("ada") == ["parent", "child"]
    board.complete("child")
    board.park("parent", False)
    board.complete("parent")
    assert board.dispatcher.drained


def test_a_cancelled_suspect_frees_who_was_kept_for_it() -> None:
    board = Board()
    board.worker("ada", slots=2)
    board.submit(task("old"))
    board.worker("lost", role="w", slots=1)
    board.submit(task("filler"), task("suspect"))
    holder = board.where["suspect"]
    assert holder == "lost"
    board.lose("lost")
    assert board.record("ada").reserved
    board.cancel("suspect")
    board.submit(task("new"))
    assert not board.record("ada").reserved


def test_when_the_one_that_was_kept_for_it_leaves_another_is_kept() -> None:
    board = Board()
    board.worker("ada")
    board.worker("bob")
    board.worker("lost")
    board.submit(task("a"), task("b"), task("suspect"))
    board.lose("lost")
    kept = next(name for name in ("ada", "bob") if board.record(name).reserved)
    other = {"ada": "bob", "bob": "ada"}[kept]
    board.dispatcher.leaving(kept, board.now)
    board.step()
    assert board.record(other).reserved
    board.complete(board.running(other)[0])
    assert board.running(other) == ["suspect"]


def test_a_suspect_that_fails_on_its_own_is_none_any_more() -> None:
    board = suspected("a", slots=1)
    board.worker("ada", slots=2)
    board.report("a", 1, error="no", again=0.0)
    board.later(0.1)
    board.submit(task("b"))
    assert board.running("ada") == ["a", "b"]


def test_a_suspect_without_a_capable_worker_fails_at_the_end() -> None:
    board = suspected("a")
    board.close()
    assert board.failure("a") == "NoCapableWorker"
