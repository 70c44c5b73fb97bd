from __future__ import annotations

import pytest

from callboard.actors.dispatch.matcher import Matcher
from callboard.actors.dispatch.pool import Pool
from callboard.actors.dispatch.profile import Profile
from tests.actors.dispatch.board import Board, task


def test_workers_that_joined_together_are_put_in_the_order_in_which_they_are_named() -> None:
    board = Board()
    for name in ("cy", "ada", "bob"):
        board.worker(name)
    board.dispatcher.roster.line_up(["ada", "bob", "nobody", "cy"], board.now)
    assert list(board.dispatcher.roster.workers) == ["ada", "bob", "cy"]
    board.submit(task("1"), task("2"), task("3"))
    assert board.where == {"1": "ada", "2": "bob", "3": "cy"}


def test_a_kind_of_worker_that_has_gone_is_forgotten_and_may_come_again() -> None:
    board = Board()
    board.worker("ada", {"a": 1})
    board.worker("eve", {"a": 1})
    board.submit(task("t", skills=(("a", 1),)))
    requirement = board["t"].category.requirement
    board.lose("eve", [])
    assert len(requirement.met_by) == 1
    board.lose("ada", [])
    assert board.dispatcher.roster.profiles == {} and not requirement.met_by and not requirement.met
    board.worker("bob", {"a": 1})
    assert board.running("bob") == ["t"] and requirement.capable() == 1


def test_workers_that_have_enough_are_not_walked_past_at_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board()
    for number in range(50):
        board.worker(f"w{number}")
    board.submit(*(task(f"t{number}") for number in range(50)))
    board.submit(*(task(f"more-{number}") for number in range(1_000)))
    for number in range(50):
        board.report_many([f"t{number}"], micros=1_000)
    board.step()
    assert {len(board.running(f"w{number}")) for number in range(50)} == {1 + 4}
    looks = 0
    top_up = Matcher._top_up

    def counted(self: Matcher, profile: Profile, first: tuple[Pool, int | None], share: int, now: float) -> int | None:
        nonlocal looks
        looks += 1
        return top_up(self, profile, first, share, now)

    monkeypatch.setattr(Matcher, "_top_up", counted)
    for number in range(20):
        board.submit(task(f"late-{number}"))
    assert looks <= 50 + 20, "each is found full once, not at every step"
    looks = 0
    for number in range(20):
        board.report(board.running(f"w{number}")[0], micros=1_000)
    assert looks <= 2 * 20
