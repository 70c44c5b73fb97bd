from __future__ import annotations

from typing import Any

from callboard.actors.dispatch.command import Notice
from callboard.actors.dispatch.entry import Entry
from callboard.actors.dispatch.rule import Rule
from callboard.events.chain import BREADTH
from callboard.events.topic import Pattern
from callboard.messages.status import TaskStatus
from callboard.messages.wire import Ending
from tests.actors.dispatch.board import Board, task

EVERYTHING = {f"task.{name}" for name in ("submitted", "assigned", "retrying", "completed", "failed", "cancelled", "skipped")}


def ruled(pattern: str, where: dict[str, Any] | None = None, max_chain: int = 1000, fallback: Any = None) -> Board:
    board = Board(max_chain=max_chain)
    board.worker("ada", slots=5)
    board.dispatcher.endings.wanted = set(EVERYTHING)
    board.dispatcher.endings.rules.add(Rule("r", Pattern(pattern), where or {}, task("varnish", fallback=fallback), "owner"))
    return board


def depth(board: Board, task_id: str) -> int:
    chain = board[task_id].rare.chain
    assert chain is not None
    return chain.depth


def test_a_rule_starts_a_task_with_a_fresh_id_that_finds_its_event() -> None:
    board = ruled("task.completed", {"name": "portrait"})
    board.submit(task("sketch"), task("portrait"))
    board.complete("sketch")
    assert board.running("ada") == ["portrait"]
    board.complete("portrait")
    (follow_on,) = board.running("ada")
    entry = board[follow_on]
    assert follow_on != "varnish" == entry.name
    assert entry.rare.event is not None
    assert entry.rare.event["topic"] == "task.completed"
    assert (entry.rare.event["name"], entry.rare.event["worker"]) == ("portrait", "ada")


def test_each_firing_is_a_task_of_its_own() -> None:
    board = ruled("task.completed", {"name": ["a", "b"]})
    board.submit(task("a"), task("b"))
    board.complete("a", "b")
    assert len(set(board.running("ada"))) == 2


def test_nothing_has_ended_between_a_task_and_its_follow_on() -> None:
    board = ruled("task.completed", {"name": "a"})
    board.submit(task("a"))
    board.report_many(["a"])
    assert board.dispatcher.ledger.open == 0
    assert not board.dispatcher.drained
    board.step()
    assert not board.dispatcher.drained
    (follow_on,) = board.running("ada")
    board.complete(follow_on)
    assert board.dispatcher.drained


def test_a_dropped_rule_starts_nothing() -> None:
    board = ruled("task.completed")
    board.dispatcher.endings.rules.drop("r")
    board.dispatcher.endings.rules.drop("unknown")
    board.submit(task("a"))
    board.complete("a")
    assert board.running("ada") == []


def test_the_rules_of_a_client_go_with_it() -> None:
    board = ruled("task.completed")
    board.dispatcher.endings.rules.drop_client("owner")
    assert not board.dispatcher.endings.rules.heed("task.completed")


def test_an_event_of_a_persons_own_starts_a_chain() -> None:
    board = ruled("order.*")
    board.dispatcher.endings.publish(Notice("order.paid", data={"amount": 3}), None, board.now)
    board.step()
    (follow_on,) = board.running("ada")
    event = board[follow_on].rare.event
    assert event is not None and event["data"] == {"amount": 3}
    board.dispatcher.endings.publish(Notice("order.sent", follow_on), board[follow_on], board.now)
    board.step()
    assert depth(board, board.running("ada")[1]) == 2


def refused(board: Board) -> list[Entry]:
    return [entry for entry in board.known() if entry.rare.refusal is not None]


def test_a_rule_that_starts_itself_ends_in_a_task_that_fails() -> None:
    board = ruled("task.completed", max_chain=10, fallback=7)
    board.submit(task("first"))
    board.complete("first")
    ran = 0
    while running := board.running("ada"):
        board.complete(*running)
        ran += 1
    assert ran == 10
    (warning,) = board.warnings()
    assert "max_chain allows 10" in warning
    (last,) = refused(board)
    assert (last.name, last.status, last.error, last.attempts) == ("varnish", TaskStatus.FAILED, warning, 0)
    assert last.failure is not None and last.failure.type_name == "ChainTooDeep"
    assert board.topics()[-2:] == ["task.submitted", "task.failed"]
    assert board.notices()[-1].data["error"] == warning
    assert board.dispatcher.drained


def test_what_was_refused_starts_nothing() -> None:
    board = ruled("task.failed", max_chain=3)
    board.submit(task("first"))
    board.report("first", Ending.FAILED, error="no")
    while running := board.running("ada"):
        board.report(running[0], Ending.FAILED, error="no")
    assert board.topics().count("task.failed") == 5
    assert len(refused(board)) == len(board.warnings()) == 1
    assert board.dispatcher.drained


def test_a_rule_on_submissions_that_starts_itself_neither_nests_nor_blocks() -> None:
    board = ruled("task.submitted", max_chain=1000)
    board.submit(task("first"))
    assert len(board.known()) == 1002
    assert len(board.warnings()) == 1


def test_a_rule_that_multiplies_ends_in_one_task_that_fails_for_each_first_cause() -> None:
    board = ruled("task.completed", max_chain=50)
    board.dispatcher.endings.rules.add(Rule("s", Pattern("task.completed"), {}, task("varnish"), "owner"))
    board.submit(task("first"), task("second"))
    ran = 0
    while running := board.running("ada"):
        board.complete(*running)
        ran += len(running)
    limit = 50 * BREADTH
    assert limit <= ran < 3 * limit
    assert max(entry.rare.chain.depth for entry in board.known() if entry.rare.chain is not None) < 50
    found = refused(board)
    assert len(found) == 2
    assert {entry.error for entry in found} == set(board.warnings())
    assert all("varnish" in warning and f"{limit:,} times" in warning for warning in board.warnings())
    assert board.dispatcher.drained


def test_wide_work_is_no_chain() -> None:
    board = ruled("row.*", max_chain=1)
    for number in range(3 * BREADTH):
        board.dispatcher.endings.publish(Notice("row.read", data={"number": number}), None, board.now)
    board.step()
    ran = 0
    while running := board.running("ada"):
        board.complete(*running)
        ran += len(running)
    assert ran == 3 * BREADTH
    assert board.warnings() == []


def test_a_step_takes_in_a_bounded_number_of_follow_ons() -> None:
    board = Board()
    for number in range(2500):
        board.dispatcher.endings.rules.add(Rule(f"r{number}", Pattern("go"), {}, task("child"), "owner"))
    board.dispatcher.endings.publish(Notice("go"), None, board.now)
    board.dispatcher.flush(board.now)
    assert len(board.known()) == 1000
    assert board.dispatcher.agenda.next() == board.now
    assert not board.dispatcher.drained
    board.later(0.0)
    assert len(board.known()) == 2500


def test_the_fallback_of_a_follow_on_stands_at_the_same_depth() -> None:
    board = ruled("task.completed", {"name": "a"}, fallback=task("plan-b"))
    board.submit(task("a"))
    board.complete("a")
    (follow_on,) = board.running("ada")
    board.report(follow_on, Ending.FAILED, error="no")
    (fallback,) = board.running("ada")
    assert depth(board, fallback) == depth(board, follow_on) == 1
    assert board[fallback].rare.event == board[follow_on].rare.event
    board.complete(fallback)
    assert board.status(follow_on) == [TaskStatus.COMPLETED]


def test_follow_ons_are_delivered_to_nobody() -> None:
    board = ruled("task.completed", {"name": "a"})
    board.submit(task("a"))
    board.complete("a")
    board.complete(*board.running("ada"))
    assert "owner" not in board.told


def test_the_topics_of_one_tasks_life_come_in_order() -> None:
    board = Board()
    board.dispatcher.endings.wanted = {*EVERYTHING, "worker.joined", "worker.lost", "worker.left"}
    board.worker("ada")
    board.submit(task("a"))
    board.report("a", Ending.FAILED, error="no", again=0.5)
    board.later(1.0)
    board.complete("a")
    board.dispatcher.leaving("ada", board.now)
    board.lose("ada")
    assert board.topics() == [
        "worker.joined",
        "task.submitted",
        "task.assigned",
        "task.retrying",
        "task.assigned",
        "task.completed",
        "worker.left",
    ]
    retrying, again = board.notices()[3:5]
    assert retrying.data == {"error": "no", "delay": 0.5, "failures": 1}
    assert (again.worker, again.data) == ("ada", {"attempt": 2})


def test_with_nobody_listening_nothing_is_built() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("a"))
    board.complete("a")
    assert board.notices() == []
