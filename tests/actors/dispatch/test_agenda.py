from __future__ import annotations

from callboard.actors.dispatch.agenda import Agenda
from tests.actors.dispatch.board import Board, task


def test_what_is_due_is_done_in_order_and_once() -> None:
    agenda = Agenda()
    done: list[str] = []
    for when, name in ((3.0, "c"), (1.0, "a"), (1.0, "b"), (9.0, "later")):
        agenda.at(when, lambda subject, now: done.append(f"{subject} at {now}"), name)
    assert agenda.next() == 1.0
    agenda.run(3.0)
    agenda.run(3.0)
    assert done == ["a at 3.0", "b at 3.0", "c at 3.0"]
    assert agenda.next() == 9.0


def test_what_is_dropped_is_neither_done_nor_waited_for() -> None:
    agenda = Agenda()
    done: list[str] = []
    timer = agenda.at(1.0, lambda subject, now: done.append(subject), "dropped")
    agenda.at(2.0, lambda subject, now: done.append(subject), "kept")
    agenda.drop(timer)
    assert (len(agenda), agenda.next()) == (1, 2.0)
    agenda.run(5.0)
    agenda.drop(timer)
    assert (done, len(agenda), agenda.next()) == (["kept"], 0, None)


def test_dropped_deadlines_do_not_pile_up() -> None:
    agenda = Agenda()
    for _ in range(10_000):
        agenda.drop(agenda.at(1e9, lambda subject, now: None, "far"))
    assert len(agenda._heap) < 300
    agenda.at(5.0, lambda subject, now: None, "near")
    assert agenda.next() == 5.0


def test_a_task_with_a_far_deadline_leaves_nothing_behind() -> None:
    board = Board()
    board.worker("ada")
    for number in range(500):
        board.submit(task(f"t{number}", timeout=3600.0, expires_in=3600.0))
        board.complete(f"t{number}")
    assert len(board.dispatcher.agenda) == 0
    assert len(board.dispatcher.agenda._heap) < 300
