from __future__ import annotations

import gc
import random

import pytest

from callboard.actors.dispatch.archive import SHELF
from callboard.actors.dispatch.ledger import Ledger
from callboard.actors.inquiry import Inquiry
from callboard.messages.errors import DuplicateTask
from callboard.messages.spec import TaskSpec
from callboard.messages.status import TaskStatus
from callboard.messages.task import Submission
from callboard.messages.wire import Ending
from tests.actors.dispatch.board import DONE, Board, task

COMPLETED, FAILED, SKIPPED = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.SKIPPED


def archived(board: Board, *ids: str) -> None:
    """Let these tasks have ended, and some time have passed."""
    for _ in range(2):
        board.submit(task(f"other-{board.dispatcher.taken}"))
        board.complete(board.running("ada")[-1])
    assert all(task_id in board.dispatcher.ledger.archive and task_id not in board.dispatcher.ledger.entries for task_id in ids)


def staffed(**limits: int) -> Board:
    board = Board(ledger=Ledger(**limits))
    board.worker("ada")
    return board


def test_it_tells_how_a_task_ended() -> None:
    board = staffed()
    board.submit(task("good"), task("bad", priority=-1, skills=(("ink", 2),)))
    board.report("good", output=b"seven", micros=1234)
    board.worker("bob", skills={"ink": 3})
    board.report("bad", Ending.FAILED, error="no ink")
    archived(board, "good", "bad")
    good, bad = board["good"], board["bad"]
    assert (good.name, good.status, good.output, good.error, good.worker_name) == ("good", COMPLETED, b"seven", None, "ada")
    assert (good.attempts, good.micros, good.payload, good.users) == (1, 1234, None, 0)
    assert (bad.status, bad.error, bad.worker_name) == (FAILED, "no ink", "bob")
    info = Inquiry(board.dispatcher).task("bad")
    assert (info.processor, info.skills, info.priority, info.attempts) == ("w", {"ink": 2}, -1, 1)
    assert "it ended with: no ink" in Inquiry(board.dispatcher).explain("bad")


def test_what_it_keeps_of_a_plain_task_is_let_be_by_the_collector() -> None:
    board = staffed()
    board.submit(task("a"))
    board.complete("a")
    archived(board, "a")
    gc.collect()
    assert not gc.is_tracked(board.dispatcher.ledger.archive._indexed()["a"])


def test_an_id_is_taken_for_as_long_as_it_is_remembered() -> None:
    board = staffed(history=8)
    board.submit(task("a"))
    board.complete("a")
    archived(board, "a")
    (refusal,) = board.submit(task("a"))
    assert isinstance(refusal, DuplicateTask)
    for number in range(20):
        board.submit(task(f"t{number}"))
        board.complete(f"t{number}")
    assert board.submit(task("a")) == []
    board.complete("a")
    assert board.status("a") == [COMPLETED]


def test_a_failure_is_remembered_as_long_as_what_went_well() -> None:
    board = staffed(history=20)
    for number in range(30):
        board.submit(task(f"t{number}"))
        board.complete(f"t{number}")
    board.submit(task("bad"))
    board.report("bad", Ending.FAILED, error="no")
    for number in range(30, 48):
        board.submit(task(f"t{number}"))
        board.complete(f"t{number}")
    assert board.status("bad") == [FAILED]
    board.submit(task("late", "bad"))
    assert board.status("late") == [SKIPPED]


def test_what_is_needed_again_is_remembered_from_then_on() -> None:
    board = staffed(history=16)
    board.submit(task("source"))
    board.complete("source")
    for number in range(100):
        board.submit(task(f"user-{number}", "source"))
        board.complete(f"user-{number}")
    assert board["source"].output == DONE and board["source"].users == 0
    assert len(board.known()) <= 16 + 2 + 2


def test_what_is_recalled_time_and_again_leaves_nothing_behind() -> None:
    board = staffed(history=10_000, kept_bytes=10_000 * len(DONE) // 2)
    archive = board.dispatcher.ledger.archive
    board.submit(*(task(f"s{number}") for number in range(100)))
    while running := board.running("ada"):
        board.complete(*running)
    for number in range(50):
        board.submit(task(f"t{number}", *(f"s{source}" for source in range(100))))
        board.complete(f"t{number}")
    assert 100 + 48 <= len(archive) <= 100 + 50
    assert archive._count == sum(map(len, archive._shelves)) <= 2 * len(archive) + 1000 + 100
    assert archive._bytes == len(archive) * len(DONE)
    assert {board[f"s{source}"].output for source in range(100)} == {DONE}


def test_what_is_remembered_of_two_copies_of_one_task_is_that_which_ended_last() -> None:
    board = staffed(kept_bytes=100)
    for name in ("first", "second"):
        board.dispatcher.submit("client", [task("same")], board.now, fresh=True)
        board.step()
        board.report("same", output=name.encode())
        archived(board)
    assert board["same"].output == b"second"
    assert board.dispatcher.ledger.archive._bytes == sum(len(entry.output or b"") for entry in board.known())


@pytest.mark.parametrize("keyed", [False, True])
def test_more_is_remembered_where_tasks_depend_on_old_ones_and_less_when_they_no_longer_do(keyed: bool) -> None:
    board, chance = staffed(history=64), random.Random(1)
    archive = board.dispatcher.ledger.archive
    for number in range(450):
        needs = {f"t{chance.randrange(number)}" for _ in range(3)} if number else set()
        board.submit(task(f"t{number}", *needs, key=f"k{number}" if keyed else None))
        board.complete(f"t{number}")
    assert {entry.status for entry in board.known()} == {COMPLETED}
    assert archive.history == 8 * 64 and len(archive) <= archive.history + 8
    before = len(archive)
    for number in range(450, 4000):
        board.submit(task(f"t{number}"))
        board.complete(f"t{number}")
        assert before - len(archive) <= 4 * 8
        before = len(archive)
    assert archive.history == 64 and len(archive) <= 64 + 8


def test_a_task_that_was_told_of_twice_is_not_taken_for_one_that_was_recalled() -> None:
    board = staffed()
    board.submit(task("source"))
    board.report_many(["source"])
    board.dispatcher.flush(board.now)  # it has ended in this step
    gone = task("gone-too", "source", "gone")
    gone.dependencies_sent = True
    board.dispatcher.submit("client", [gone], board.now)  # and is needed, and no longer needed, in the next
    board.dispatcher.flush(board.now)
    assert "source" in board.dispatcher.ledger.archive
    board.submit(task("late", "source", "open"))  # so that it is recalled
    assert board["source"].users == 1 and "source" in board.dispatcher.ledger.entries
    board.submit(task("open"))
    board.complete("open", "late")
    assert board.status("late") == [COMPLETED]


def test_what_may_be_started_again_by_its_key_is_kept_as_it_is() -> None:
    board = staffed()
    board.submit(task("first", key="k"))
    board.complete("first")
    leader = board.dispatcher.endings.twins.leader("k")
    archived(board, "first")
    assert board["first"] is leader
    board.submit(task("second", key="k"))
    assert board["second"].output == DONE


def test_no_more_than_a_few_are_over_the_bound() -> None:
    board = staffed(history=100)
    for number in range(400):
        board.submit(task(f"t{number}"))
        board.complete(f"t{number}")
        assert len(board.dispatcher.ledger.archive) <= 100 + min(SHELF, 100 // 8)
    remembered = [entry.task_id for entry in board.known()]
    assert remembered == [f"t{number}" for number in range(400 - len(remembered), 400)]


@pytest.mark.parametrize("size", [1, 3, 40, 90])
def test_outputs_are_bounded_by_their_bytes(size: int) -> None:
    board = staffed(kept_bytes=100)
    for number in range(150):
        board.submit(task(f"t{number}"))
        board.report(f"t{number}", output=b"x" * size)
        archive = board.dispatcher.ledger.archive
        kept = [task_id for task_id in archive if board[task_id].output is not None]
        assert archive._bytes == size * len(kept) and len(kept) == min(100 // size, len(archive))
    assert kept == list(archive)[-len(kept) :]


def test_small_outputs_are_not_counted_and_not_let_go() -> None:
    board = staffed(history=20, kept_bytes=100)
    sizes = [5, 60, 5, 60, 5, 60, 5, 5]
    for number, size in enumerate(sizes):
        board.submit(task(f"t{number}"))
        board.report(f"t{number}", output=b"x" * size)
    archived(board)
    kept = [number for number in range(len(sizes)) if board[f"t{number}"].output is not None]
    assert kept == [0, 2, 4, 5, 6, 7]
    for number in range(100, 200):
        board.submit(task(f"t{number}", f"t{number - 1}") if number > 100 else task(f"t{number}"))
        board.report(f"t{number}", output=b"x" * 60)
        assert len(board.dispatcher.ledger.archive._heavy) <= 22 + 1
    assert board.dispatcher.ledger.archive._bytes == 60


def test_a_kind_of_task_is_known_while_one_is_remembered() -> None:
    board = staffed(history=8)
    for number in range(100):
        board.submit(Submission(f"t{number}", "many", TaskSpec(role="w", version=(1, number)), b""))
        board.complete(f"t{number}")
    categories = board.dispatcher._intake._categories
    categories._begin_anew()
    assert 8 <= len(board.dispatcher.ledger.archive.categories) <= 8 + 2
    assert all(Inquiry(board.dispatcher).task(entry.task_id).name == "many" for entry in board.known())
