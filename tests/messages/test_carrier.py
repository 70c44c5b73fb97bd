"""What cloudpickle alone would carry by a name that no other process knows."""

from __future__ import annotations

import functools
import pickle
import subprocess
import sys
from typing import Any

import pytest

from callboard.messages.carrier import carry


def made() -> Any:
    @functools.lru_cache(maxsize=7, typed=True)
    def total(number: int) -> int:
        return number if number < 2 else total(number - 1) + total(number - 2)

    return total


@pytest.mark.parametrize("module", ["__main__", __name__])
def test_a_cached_function_is_carried_with_what_it_refers_to(module: str) -> None:
    total = made()
    total.__module__ = total.__wrapped__.__module__ = module
    assert total(5) == 5
    carried = pickle.loads(carry(total))
    assert carried is not total
    assert carried.cache_parameters() == {"maxsize": 7, "typed": True}
    assert carried.cache_info().currsize == 0
    assert carried(40) == 102_334_155  # which takes for ever where it does not find its own cache


def test_two_ways_to_it_lead_to_one_cache() -> None:
    total = made()
    one, other = pickle.loads(carry([total, {"it": total}]))
    assert one is other["it"]


def test_a_cached_function_of_a_module_is_found_there() -> None:
    assert pickle.loads(carry(ours)) is ours


@functools.cache
def ours() -> int:
    return 1


seen: list[str] = []


def make_kind() -> Any:
    class Kind:
        def note(self, word: str) -> int:
            seen.append(word)
            return len(seen)

    return Kind


def test_a_class_that_comes_back_is_as_it_was() -> None:
    kind = make_kind()
    back = pickle.loads(carry(kind()))
    assert type(back) is kind
    assert [back.note("it"), kind().note("another")] == [1, 2]
    assert seen == ["it", "another"]
    seen.clear()


ELSEWHERE = """
import pickle, sys
from callboard.messages.carrier import carry
made = pickle.load(sys.stdin.buffer)
made.words = made.note("there"), made.note("again")
sys.stdout.buffer.write(carry(made))
"""


def test_a_class_works_where_it_was_carried_to_and_comes_back_from_there() -> None:
    kind = make_kind()
    back = pickle.loads(subprocess.run([sys.executable, "-c", ELSEWHERE], input=carry(kind()), capture_output=True, check=True).stdout)
    assert (type(back), back.words) == (kind, (1, 2))
    assert (kind().note("here"), seen) == (1, ["here"])
    seen.clear()
