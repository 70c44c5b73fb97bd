from __future__ import annotations

import random

import pytest

from callboard.actors.dispatch.ledger import Ledger
from callboard.messages.errors import UnknownTask
from callboard.messages.status import TaskStatus
from callboard.messages.wire import Ending
from tests.actors.dispatch.board import DONE, Board, task

PENDING, COMPLETED, SKIPPED = TaskStatus.PENDING, TaskStatus.COMPLETED, TaskStatus.SKIPPED


def run_all(board: Board, limit: int = 100_000) -> list[str]:
    """Let one worker complete whatever it gets; returns in which order."""
    done: list[str] = []
    board.worker("ada")
    while running := board.running("ada"):
        board.report_many(running)
        board.step()
        done += running
        assert len(done) <= limit
    return done


def test_a_task_waits_for_its_dependencies() -> None:
    board = Board()
    board.worker("ada", slots=3)
    board.submit(task("sum", "five", "ten"), task("five"), task("ten"))
    assert board.running("ada") == ["five", "ten"]
    board.complete("five")
    assert board.status("sum") == [PENDING]
    board.complete("ten")
    assert board.running("ada") == ["sum"]


def test_an_unknown_id_is_waited_for() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("late", "early"))
    assert board.where == {}
    board.submit(task("early"))
    board.complete("early")
    assert board.running("ada") == ["late"]


def test_a_diamond() -> None:
    board = Board()
    board.submit(task("end", "left", "right"), task("left", "start"), task("right", "start"), task("start"))
    assert run_all(board) == ["start", "left", "right", "end"]
    assert all(entry.users == 0 for entry in board.known())


@pytest.mark.parametrize("order", ["end left right", "left end right", "left right end", "right end left"])
def test_nobody_is_counted_among_the_users_of_what_was_skipped_together(order: str) -> None:
    board = Board()
    board.worker("ada")
    needs = {"left": ["start"], "right": ["start", "left"], "end": ["start", "left", "right"]}
    board.submit(task("start"), *(task(name, *needs[name]) for name in order.split()))
    board.report("start", Ending.FAILED)
    assert board.status("left", "right", "end") == [SKIPPED, SKIPPED, SKIPPED]
    assert all(entry.final and entry.users == 0 for entry in board.known())


def test_a_dependency_named_twice_counts_once() -> None:
    board = Board()
    board.submit(task("a", "b", "b", "x", "x"), task("b"))
    assert board["a"].waiting_for == 2
    board.submit(task("x"))
    assert run_all(board) == ["b", "x", "a"]
    assert board["b"].users == 0


@pytest.mark.parametrize("order", ["forward", "reversed", "scrambled"])
def test_a_chain_of_ten_thousand(order: str) -> None:
    count = 10_000
    chain = [task("t0"), *(task(f"t{number}", f"t{number - 1}") for number in range(1, count))]
    if order == "reversed":
        chain.reverse()
    elif order == "scrambled":
        random.Random(3).shuffle(chain)
    board = Board()
    assert board.submit(*chain) == []
    assert run_all(board) == [f"t{number}" for number in range(count)]
    assert board.dispatcher.drained


def test_a_chain_costs_the_same_in_every_order(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    levels = "callboard.actors.dispatch.level.Levels._before"
    from callboard.actors.dispatch.level import Levels

    before = Levels._before

    def counted(self: Levels, entry: object) -> object:
        nonlocal looks
        looks += 1
        return before(self, entry)  # type: ignore[arg-type]

    monkeypatch.setattr(levels, counted)
    counts = {}
    for order in ("forward", "reversed", "scrambled"):
        chain = [task("t0"), *(task(f"t{number}", f"t{number - 1}") for number in range(1, 5000))]
        if order == "reversed":
            chain.reverse()
        elif order == "scrambled":
            random.Random(3).shuffle(chain)
        looks = 0
        Board().submit(*chain)
        counts[order] = looks
    assert counts["forward"] <= 5000
    assert counts["reversed"] <= 5000
    assert counts["scrambled"] <= 25 * 5000


# -- memory --------------------------------------------------------------------------------------


def small(**limits: int) -> Board:
    return Board(ledger=Ledger(**limits))


def end_in_turn(board: Board, count: int) -> None:
    """Submit and complete so many tasks, t0 first, each before the next comes."""
    for number in range(count):
        board.submit(task(f"t{number}"))
        board.complete(f"t{number}")


def test_only_so_many_ended_tasks_are_remembered() -> None:
    board = small(history=10, kept_bytes=5 * len(DONE))
    board.worker("ada")
    end_in_turn(board, 100)
    assert 10 <= len(board.known()) <= 20
    assert board.status("t99") == [COMPLETED]
    with pytest.raises(UnknownTask, match="no task 't0' is known here"):
        board["t0"]


def test_outputs_are_let_go_before_ids() -> None:
    board = small(history=50, kept_bytes=10 * len(DONE))
    board.worker("ada")
    end_in_turn(board, 30)
    kept = [entry.task_id for entry in board.known() if entry.output is not None]
    assert len(board.known()) == 30
    assert kept == [f"t{number}" for number in range(30 - len(kept), 30)]
    assert 5 <= len(kept) <= 12


def test_small_outputs_are_kept_as_long_as_ids() -> None:
    board = small(history=50)
    board.worker("ada")
    end_in_turn(board, 100)
    assert len(board.known()) >= 50 and all(entry.output is not None for entry in board.known())
    board.submit(task("late", "t50", "t99"))
    assert board.running("ada") == ["late"]


def test_large_outputs_are_let_go_by_their_bytes() -> None:
    board = small(kept_bytes=1000)
    board.worker("ada")
    for number in range(10):
        board.submit(task(f"t{number}"))
        board.report(f"t{number}", output=b"x" * 400)
    assert sum(entry.output is not None for entry in board.known()) <= 4


def test_an_output_larger_than_all_that_is_kept_is_delivered_all_the_same() -> None:
    board = small(kept_bytes=10)
    board.worker("ada")
    board.submit(task("a"))
    board.report_many(["a"], output=b"x" * 1000)
    commands = board.dispatcher.flush(board.now)
    (delivered,) = [command for command in commands if type(command).__name__ == "Deliver"]
    assert delivered.entries[0].output == b"x" * 1000  # type: ignore[union-attr]
    for _ in range(3):
        board.dispatcher.flush(board.now)
    assert board["a"].output is None


def test_an_output_that_somebody_still_needs_is_kept() -> None:
    board = small(history=5, kept_bytes=2 * len(DONE))
    board.worker("ada")
    board.submit(task("early"), task("late", "early", "never"))
    board.complete("early")
    end_in_turn(board, 50)
    assert board["early"].output is not None
    board.submit(task("never"))
    board.complete("never", "late")
    assert board.status("late") == [COMPLETED]
    for number in range(50, 100):
        board.submit(task(f"t{number}"))
        board.complete(f"t{number}")
    with pytest.raises(UnknownTask):
        board["early"]


def test_a_late_dependent_finds_what_is_still_there() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("early"))
    board.complete("early")
    board.submit(task("late", "early"))
    assert board.running("ada") == ["late"]


def test_a_late_dependent_of_an_output_that_was_let_go_says_so() -> None:
    board = small(kept_bytes=len(DONE))
    board.worker("ada")
    end_in_turn(board, 5)
    board.submit(task("late", "t0"))
    assert board.failure("late") == "OutputReleased"
    assert "'t0'" in str(board["late"].error)


def test_who_no_longer_waits_for_an_unknown_id_is_forgotten_there() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("a", "never"), task("b", "never"))
    board.cancel("a", "b")
    assert board.dispatcher.ledger.awaited == {}
    board.submit(task("never"))
    board.complete("never")
    assert board["never"].users == 0


def test_what_is_needed_again_by_one_that_comes_late_is_let_go_after_that_one() -> None:
    board = small(history=6, kept_bytes=3 * len(DONE))
    board.worker("ada")
    board.submit(task("old"))
    board.complete("old")
    board.submit(task("first"), task("late", "old", priority=-1))
    for number in range(20):
        board.submit(task(f"t{number}", priority=1))
        board.report(board.running("ada")[0], micros=1_000_000)
    assert board["old"].output is not None and board["old"].users == 1
    while board.running("ada"):
        board.report(board.running("ada")[0], micros=1_000_000)
    assert board["late"].status is COMPLETED and board["old"].users == 0
    for number in range(20, 40):
        board.submit(task(f"t{number}"))
        board.complete(f"t{number}")
    with pytest.raises(UnknownTask):
        board["old"]
    assert len(board.known()) <= 6 + 2
