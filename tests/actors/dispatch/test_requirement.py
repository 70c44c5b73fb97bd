from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.dispatch.requirement import cost, meets
from tests.actors.dispatch.board import Board, task


@pytest.mark.parametrize(
    ("role", "skills", "wanted_role", "wanted", "answer"),
    [
        ("w", {}, "w", (), True),
        ("w", {}, None, (), True),
        ("w", {}, "x", (), False),
        ("w", {"a": 3}, "w", (("a", 3),), True),
        ("w", {"a": 2}, "w", (("a", 3),), False),
        ("w", {"b": 9}, "w", (("a", 1),), False),
        ("w", {"a": 3, "b": 1}, None, (("a", 1), ("b", 1)), True),
        ("w", {"a": 3}, "x", (("a", 1),), False),
    ],
)
def test_who_meets_what(
    role: str, skills: dict[str, int], wanted_role: str | None, wanted: tuple[tuple[str, int], ...], answer: bool
) -> None:
    assert meets(role, skills, wanted_role, wanted) is answer


def test_what_a_task_wastes_of_a_worker() -> None:
    assert cost({"a": 3, "b": 9}, (("a", 1),), False) == (3, 0)
    assert cost({"a": 3, "b": 9}, (), True) == (0, 12)
    assert cost({"a": 3, "b": 9}, (), False) == (0, 0)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.integers(0, 2)), max_size=25),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 4)), min_size=1, max_size=5),
)
def test_tasks_are_taken_as_a_simple_search_would_take_them(tasks: list[tuple[str, int, int]], workers: list[tuple[str, int]]) -> None:
    board = Board()
    board.submit(*(task(f"t{n}", role=role, skills=(("s", level),), priority=p) for n, (role, level, p) in enumerate(tasks)))
    waiting = sorted(range(len(tasks)), key=lambda number: (-tasks[number][2], number))
    for number, (role, level) in enumerate(workers):
        expected = next((f"t{n}" for n in waiting if tasks[n][0] == role and tasks[n][1] <= level), None)
        board.worker(f"w{number}", {"s": level}, role=role)
        got = board.running(f"w{number}")
        assert got == ([expected] if expected else [])
        waiting = [n for n in waiting if f"t{n}" != expected]
    for number, (role, level) in enumerate(workers):
        while running := board.running(f"w{number}"):
            board.report(running[0], micros=1_000_000)
            expected = next((f"t{n}" for n in waiting if tasks[n][0] == role and tasks[n][1] <= level), None)
            assert board.running(f"w{number}") == ([expected] if expected else [])
            waiting = [n for n in waiting if f"t{n}" != expected]
