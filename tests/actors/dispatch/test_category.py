from __future__ import annotations

import pytest

from callboard.actors.dispatch.category import Categories
from callboard.actors.dispatch.entry import Category
from callboard.messages.spec import TaskSpec
from tests.actors.dispatch.board import Board, task


def test_one_spec_has_one_category_by_identity_and_by_value() -> None:
    board = Board()
    categories = Categories(board.dispatcher.roster, board.dispatcher.ledger)
    spec = TaskSpec(role="w", priority=3)
    first = categories.of(spec)
    assert categories.of(spec) is first
    assert categories.of(TaskSpec(role="w", priority=3)) is first
    other = categories.of(TaskSpec(role="w"))
    assert other is not first
    assert other.requirement is first.requirement
    assert other.number != first.number


def test_equal_specs_of_many_clients_are_not_compared_each_time() -> None:
    board = Board()
    categories = Categories(board.dispatcher.roster, board.dispatcher.ledger)
    specs = [TaskSpec(role="w") for _ in range(10)]
    for spec in specs:
        categories.of(spec)
    assert len(categories._by_value) == 1
    assert len(categories._by_identity) == 10


def test_the_table_is_bounded_and_forgets_needs_that_no_open_task_has() -> None:
    board = Board()
    board.worker("ada", role="r0", slots=2)
    categories = board.dispatcher._intake._categories
    categories._limit = 50
    board.submit(task("open", role="r0"), task("waiting", role="nobody"))
    for number in range(500):
        board.submit(task(f"t{number}", role="r0", skills=((f"tag-{number}", 1),)))
        board.cancel(f"t{number}")
    assert len(categories._by_identity) <= 50
    assert len(board.dispatcher.roster.requirements) <= 60
    assert len(board.record("ada").profile.offers) <= 60
    board.submit(task("another", role="nobody"), task("more", role="r0"))
    assert board.running("ada") == ["open", "more"]
    board.worker("bob", role="nobody", slots=2)
    assert board.running("bob") == ["waiting", "another"]


def test_the_estimate_follows_a_change() -> None:
    board = Board()
    category = Category(1, TaskSpec(), board.dispatcher.roster.requirement("w", ()))
    assert category.mean is None
    category.observe(100.0)
    assert category.mean == 100.0
    for _ in range(20):
        category.observe(1000.0)
    assert category.mean == pytest.approx(1000.0, abs=10.0)
