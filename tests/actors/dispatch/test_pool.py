from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.actors.dispatch.board import Board, task


def needs(board: Board, **levels: int) -> object:
    """The pool of a requirement."""
    return board.dispatcher.roster.requirement("w", tuple(sorted(levels.items()))).pool


def test_needs_that_the_same_workers_meet_share_a_pool() -> None:
    board = Board()
    board.worker("low", {"a": 3, "b": 9})
    board.worker("high", {"a": 7, "b": 9})
    assert needs(board, a=1) is needs(board, a=3) is needs(board, a=2, b=5)
    assert needs(board, a=4) is needs(board, a=7) is not needs(board, a=1)
    assert needs(board, a=8) is needs(board, c=1) is not needs(board, a=7)


def test_needs_that_put_the_workers_in_another_order_do_not() -> None:
    board = Board()
    board.worker("one", {"a": 1, "b": 2})
    board.worker("two", {"a": 2, "b": 1})
    assert needs(board, a=1) is not needs(board, b=1)
    assert needs(board, a=1, b=1) is not needs(board, a=1), "there both are equals"


def test_a_kind_of_worker_that_comes_or_goes_changes_the_pools_of_what_waits() -> None:
    board = Board()
    board.worker("low", {"a": 1})
    board.submit(task("busy"), *(task(f"t{level}", skills=(("a", level),)) for level in (3, 2, 1)))
    assert board.running("low") == ["busy"]
    board.worker("high", {"a": 3})
    assert board.running("high") == ["t3"]
    board.report("busy", micros=1_000_000)
    assert board.running("low") == ["t1"]
    board.lose("high", [])
    board.worker("middle", {"a": 2})
    assert board.running("middle") == ["t2"]
    board.report("t2", micros=1_000_000)
    board.worker("again", {"a": 3})
    assert board.running("again") == ["t3"]
    assert all(requirement.ready == 0 and not requirement.pool for requirement in board.dispatcher.roster.requirements.values())


def test_a_pool_counts_what_is_ready() -> None:
    board = Board()
    board.submit(task("a", skills=(("x", 1),)), task("b", skills=(("y", 1),)), task("c", skills=(("y", 1),)))
    pool = board["a"].category.requirement.pool
    assert board["b"].category.requirement.pool is pool and len(pool) == 3
    board.cancel("b")
    assert len(pool) == 2
    board.worker("ada", {"x": 1})
    assert board.running("ada") == ["a"]
    assert pool is not board["c"].category.requirement.pool
    assert board["c"].category.requirement.pool.top == board["c"].order


STEPS = st.lists(st.tuples(st.sampled_from(["submit", "submit", "join", "lose", "cancel"]), st.integers(0, 3)), max_size=40)


@given(STEPS)
def test_what_is_ready_stays_in_the_pool_of_its_needs_whoever_comes_and_goes(steps: list[tuple[str, int]]) -> None:
    board = Board()
    waiting: dict[str, int] = {}
    for number, (what, level) in enumerate(steps):
        name = f"w{level}"
        if what == "submit":
            board.submit(task(f"t{number}", skills=(("s", level),), priority=number % 3))
            waiting[f"t{number}"] = level
        elif what == "join" and name not in board.dispatcher.roster.workers:
            board.worker(name, {"s": level})
        elif what == "lose" and name in board.dispatcher.roster.workers:
            board.lose(name, [])
        elif what == "cancel" and waiting:
            board.cancel(list(waiting)[level % len(waiting)])
        waiting = {task_id: level for task_id, level in waiting.items() if not board[task_id].final}
        ready = [board[task_id] for task_id in waiting if board[task_id].worker is None]
        for requirement in board.dispatcher.roster.requirements.values():
            mine = sorted((entry for entry in ready if entry.category.requirement is requirement), key=lambda entry: entry.order)
            assert requirement.in_row() == mine and requirement.ready == len(mine)
        pools = {requirement.pool for requirement in board.dispatcher.roster.requirements.values()}
        assert sum(map(len, pools)) == len(ready)
