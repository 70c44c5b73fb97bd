"""What is stored comes back as it went, or is refused at once."""

from __future__ import annotations

import enum
import math
import threading
from base64 import b64decode, b64encode
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from callboard.messages.errors import CannotStore, StoreError
from callboard.state.value import StoredValue, encode
from tests.state.program import run_program


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Kind(enum.StrEnum):
    SMALL = "small"


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Order:
    id: int
    lines: tuple[str, ...]


class Person(BaseModel):
    name: str
    born: date | None = None


class Text(str):
    pass


VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    10**5000,
    [-(10**5000)],
    {"a": 2**2000},
    10**600,
    "\ud800 in a text",
    {"\ud800": 1},
    [[[]] * 3],
    "é\u20ac\U0001f600",
    1.5,
    math.inf,
    "",
    "a\nb\u2028c\0d",
    "\ud800",
    [],
    {},
    [1, [2, {"a": None}]],
    (),
    (1, "a", (2,)),
    [(1, 2), {3, 4}],
    {"a": (1,), "b": [b"x"]},
    {1: "a", (2, 3): "b", None: "c"},
    {"$tuple": [1]},
    {"$": 1, "b": 2},
    {"$pickle": "x"},
    {"a": {"$dict": [[1, 2]]}},
    set(),
    {1, 2, 3},
    frozenset({"a", (1, 2)}),
    {Colour.RED, Level.HIGH},
    b"",
    bytes(range(256)),
    bytearray(b"abc"),
    Decimal("1.10"),
    Decimal("-Infinity"),
    date(2024, 2, 29),
    datetime(2024, 2, 29, 1, 2, 3, 4),
    datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC),
    datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    time(1, 2),
    timedelta(days=-1, microseconds=1),
    UUID(int=7),
    Path("/a/b"),
    1 + 2j,
    range(3),
    Colour.RED,
    Level.HIGH,
    Kind.SMALL,
    [Level.HIGH, Kind.SMALL, Text("t")],
    {Kind.SMALL: Level.HIGH},
    Point(1, 2),
    Order(1, ("a", "b")),
    Person(name="Ada", born=date(1815, 12, 10)),
    {"people": [Person(name="Ada"), (Order(2, ()),)]},
    OrderedDict(b=1, a=2),
    Order,
    len,
]


def same(left: Any, right: Any) -> bool:
    """Equal and of the same types throughout."""
    if type(left) is not type(right) or left != right:
        return False
    if isinstance(left, dict):
        pairs = zip(left.items(), right.items(), strict=True)
        return all(same(a, c) and same(b, d) for (a, b), (c, d) in pairs)
    if isinstance(left, (list, tuple)):
        return all(map(same, left, right))
    return not isinstance(left, datetime) or (left.fold, left.tzinfo) == (right.fold, right.tzinfo)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}")
def test_it_comes_back_as_it_went(value: Any) -> None:
    stored = encode(value, "it")
    assert same(stored.load(), value)
    assert "\n" not in stored.text and stored.text.encode().decode() == stored.text


def test_nan_comes_back() -> None:
    assert math.isnan(encode(math.nan, "it").load())


def test_each_load_is_a_copy_and_later_changes_are_not_seen() -> None:
    value = {"a": [1]}
    stored = encode(value, "it")
    value["a"].append(2)
    first = stored.load()
    first["a"].append(3)
    assert stored.load() == {"a": [1]}


def test_a_list_that_holds_itself_comes_back() -> None:
    value: list[Any] = [1]
    value.append(value)
    back = encode(value, "it").load()
    assert back[0] == 1 and back[1] is back


def test_a_lambda_and_what_it_closes_over_come_back() -> None:
    offset = 5
    assert encode([lambda number: number + offset], "it").load()[0](2) == 7


def test_plain_values_are_readable_text() -> None:
    assert encode({"a": [1, 2.5, None, "x"]}, "it").text == '{"a":[1,2.5,null,"x"]}'
    assert encode((1, {2}), "it").text == '{"$tuple":[1,{"$set":[2]}]}'


def test_equal_sets_have_equal_texts() -> None:
    forth = {number << 20 for number in range(50)}
    back = {number << 20 for number in range(49, -1, -1)}
    assert list(forth) != list(back)
    assert encode(forth, "it").text == encode(back, "it").text


class Unloadable(Exception):
    """Pickles well and cannot be built again."""

    def __init__(self, code: int, *, text: str) -> None:
        super().__init__(code)
        self.text = text


class Stubborn:
    def __reduce__(self) -> Any:
        raise RuntimeError("will not be moved")


@pytest.mark.parametrize(
    "value",
    [threading.Lock(), (number for number in range(3)), Unloadable(1, text="t"), Stubborn(), {"deep": [(threading.Lock(),)]}],
    ids=["lock", "generator", "unloadable", "stubborn", "deep"],
)
def test_what_would_not_come_back_is_refused_by_name(value: Any) -> None:
    with pytest.raises(CannotStore, match="result of atom 'fetch' cannot be stored: "):
        encode(value, "result of atom 'fetch'")


def test_a_value_of_a_class_that_is_gone() -> None:
    text = encode(Order(1, ()), "it").text
    stored = b64encode(b64decode(text.split('"')[3]).replace(b"Order", b"Ordre")).decode()
    with pytest.raises(StoreError, match="cannot be read back: AttributeError"):
        StoredValue(f'{{"$pickle":["{stored}"]}}').load()


PROGRAM = """
import sys
from dataclasses import dataclass
from callboard.state.value import StoredValue, encode

@dataclass
class Order:
    id: int

if sys.argv[1] == "write":
    print(encode([Order(7)], "it").text)
else:
    [order] = StoredValue(sys.argv[2]).load()
    assert type(order) is Order and order == Order(7), order
    print("same class")
"""


def test_classes_of_main_are_found_by_the_same_program_and_carried_to_others(tmp_path: Path) -> None:
    text = run_program(PROGRAM, tmp_path, "write").stdout.strip()
    assert run_program(PROGRAM, tmp_path, "read", text).stdout == "same class\n"
    [order] = StoredValue(text).load()
    assert order.id == 7 and type(order).__name__ == "Order"


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.decimals(allow_nan=False)
hashable = st.recursive(scalars, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=6)
anything = st.recursive(
    hashable | st.dates() | st.datetimes() | st.timedeltas(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(hashable, inner, max_size=4) | st.sets(hashable, max_size=4) | st.tuples(inner)
    ),
    max_leaves=20,
)


@given(anything)
def test_whatever_is_made_of_plain_things_comes_back(value: Any) -> None:
    assert same(encode(value, "it").load(), value)
