from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.dispatch.queue import SPARE_PLACES, Queue

STEPS = st.lists(st.tuples(st.sampled_from(["add", "add", "discard", "pop"]), st.integers(0, 30)), max_size=80)


@given(STEPS)
def test_it_is_what_a_sorted_mapping_would_be(steps: list[tuple[str, int]]) -> None:
    queue: Queue[str] = Queue()
    known: dict[int, str] = {}
    for what, key in steps:
        if what == "add" and key not in known:
            known[key] = f"value {key}"
            assert queue.add(key, known[key]) is (key == min(known))
        elif what == "discard":
            assert queue.discard(key) is (known.pop(key, None) is not None)
        elif what == "pop" and known:
            assert queue.peek() == known[min(known)]
            assert queue.pop() == known.pop(min(known))
        assert queue.top == min(known, default=None)
        assert list(queue) == [known[key] for key in sorted(known)]
        assert len(queue) == len(known) and (key in queue) is (key in known)


def test_what_is_taken_out_behind_the_first_does_not_pile_up() -> None:
    queue: Queue[str] = Queue()
    queue.add(0, "stays")
    for key in range(1, 10_000):
        queue.add(key, "goes")
        queue.discard(key)
    queue.add(-1, "first")
    for key in range(-10_000, -1):
        queue.add(key, "goes")
        queue.add(key + 20_000, "goes")
        queue.discard(key + 20_000)
        queue.discard(key)
    assert list(queue) == ["first", "stays"]
    assert len(queue._row) + len(queue._late) <= 2 * len(queue) + SPARE_PLACES + 1
