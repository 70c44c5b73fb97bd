from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.dispatch.offer import Offers


class Row:
    """Something with ready tasks, of which it has the orders."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.orders: set[int] = set()

    @property
    def top(self) -> int | None:
        return min(self.orders, default=None)


STEPS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["add", "take", "look"]), st.integers(0, 50)), max_size=80)


@given(STEPS)
def test_the_first_is_whoever_has_the_first(steps: list[tuple[int, str, int]]) -> None:
    offers: Offers[Row] = Offers()
    rows = [Row(number) for number in range(4)]
    taken: set[int] = set()
    for number, what, order in steps:
        row = rows[number]
        if what == "add" and order not in taken:
            taken.add(order)
            row.orders.add(order)
            if row.top == order:
                offers.offer(row, order)
        elif what == "take" and row.orders:
            row.orders.remove(min(row.orders))  # nobody tells the offers
        else:
            tops = {row.top: row for row in rows if row.top is not None}
            found = offers.first()
            if found is None:
                assert not tops
                continue
            first, until = found
            assert first is tops[min(tops)]
            others = [other.top for other in rows if other is not first and other.top is not None]
            assert until is not None or not others
            assert until is None or all(until <= other for other in others)


def test_what_has_nothing_ready_is_forgotten_when_it_comes_up() -> None:
    offers: Offers[Row] = Offers()
    for number in range(100):
        row = Row(number)
        row.orders.add(number)
        offers.offer(row, number)
        row.orders.clear()
    assert offers.first() is None
    assert len(offers) == 0
