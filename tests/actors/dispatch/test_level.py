from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.messages.errors import DependencyCycle
from tests.actors.dispatch.board import Board, task


def test_a_task_that_depends_on_itself_is_refused() -> None:
    board = Board()
    (error,) = board.submit(task("a", "a"))
    assert isinstance(error, DependencyCycle)
    assert error.cycle == ("a", "a")
    assert board.dispatcher.drained


def test_a_circle_is_refused_and_named_when_its_last_task_comes() -> None:
    board = Board()
    assert board.submit(task("a", "c"), task("b", "a")) == []
    (error,) = board.submit(task("c", "b"))
    assert isinstance(error, DependencyCycle)
    assert error.cycle == ("c", "b", "a", "c")
    assert str(error) == "dependencies form a cycle: c -> b -> a -> c"


def test_what_was_refused_may_come_again_in_a_better_form() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("a", "c"), task("b", "a"))
    board.submit(task("c", "b"))
    assert board.submit(task("c")) == []
    board.complete("c", "a", "b")
    assert board.dispatcher.drained


def test_a_circle_through_a_long_chain_is_found() -> None:
    board = Board()
    count = 500
    order = list(range(1, count))
    random.Random(1).shuffle(order)
    assert board.submit(*(task(f"t{number}", f"t{number - 1}") for number in order)) == []
    (error,) = board.submit(task("t0", f"t{count - 1}"))
    assert isinstance(error, DependencyCycle)
    assert len(error.cycle) == count + 1
    assert error.cycle[:2] == ("t0", f"t{count - 1}")


def test_ended_tasks_close_no_circle() -> None:
    board = Board()
    board.worker("ada")
    board.submit(task("a"))
    board.complete("a")
    assert board.submit(task("c", "b"), task("b", "a")) == []
    assert board.where["b"] == "ada"


def reaches(edges: dict[str, tuple[str, ...]], start: str, goal: str) -> bool:
    seen, pending = set(), [start]
    while pending:
        here = pending.pop()
        if here == goal:
            return True
        if here not in seen:
            seen.add(here)
            pending += edges.get(here, ())
    return False


@pytest.mark.parametrize("steps", [1, 3, 20])
@given(
    edges=st.dictionaries(st.integers(0, 11), st.lists(st.integers(0, 11), max_size=3, unique=True), min_size=2, max_size=12),
    seed=st.randoms(use_true_random=False),
)
def test_refused_is_exactly_what_would_close_a_circle(steps: int, edges: dict[int, list[int]], seed: random.Random) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("callboard.actors.dispatch.level.STEPS", steps)
        board = Board()
        order = list(edges)
        seed.shuffle(order)
        accepted: dict[str, tuple[str, ...]] = {}
        for number in order:
            name, needed = str(number), tuple(map(str, edges[number]))
            refused = board.submit(task(name, *needed))
            circular = any(reaches(accepted, needs, name) for needs in needed)
            assert bool(refused) is circular
            if not circular:
                accepted[name] = needed
                continue
            assert isinstance(refused[0], DependencyCycle)
            circle = refused[0].cycle
            assert circle[0] == circle[-1] == name
            known = {**accepted, name: needed}
            assert all(after in known[before] for before, after in itertools.pairwise(circle))
        for entry in board.known():
            for needs in accepted[entry.task_id]:
                needed_entry = board.dispatcher.ledger.entries.get(needs)
                assert needed_entry is None or needed_entry.level <= entry.level
