"""The contract that every store keeps."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from callboard.messages.errors import CannotStore, InvalidSetting, StoreUnavailable, VersionConflict
from callboard.state.address import open_store
from callboard.state.store import ABSENT, MAX_KEY, Delete, Put, Store, end_of


def test_what_was_put_is_got(store: Store) -> None:
    data = bytes(range(256))
    version = store.put("a/b", data)
    record = store.get("a/b")
    assert record is not None
    assert (record.key, record.value, record.version) == ("a/b", data, version)


def test_what_was_never_put_is_none(store: Store) -> None:
    assert store.get("nothing") is None
    assert store.scan() == []


def test_an_empty_value_is_a_value(store: Store) -> None:
    store.put("k", b"")
    record = store.get("k")
    assert record is not None and record.value == b""


def test_a_large_value_comes_back(store: Store) -> None:
    data = b"\0\xff" * 2_000_000
    store.put("large", data)
    record = store.get("large")
    assert record is not None and record.value == data


def test_put_over_an_expected_version(store: Store) -> None:
    first = store.put("k", b"1", ABSENT)
    second = store.put("k", b"2", first)
    assert second != first
    with pytest.raises(VersionConflict, match="'k' was changed"):
        store.put("k", b"3", first)
    record = store.get("k")
    assert record is not None and (record.value, record.version) == (b"2", second)


def test_put_where_nothing_may_be(store: Store) -> None:
    store.put("k", b"1", ABSENT)
    with pytest.raises(VersionConflict, match="'k' exists already"):
        store.put("k", b"2", ABSENT)


def test_put_over_a_version_where_nothing_is(store: Store) -> None:
    with pytest.raises(VersionConflict):
        store.put("k", b"1", 17)
    assert store.get("k") is None


def test_a_record_made_anew_is_not_the_old_one(store: Store) -> None:
    old = store.put("k", b"1")
    store.delete("k")
    store.put("k", b"1")
    with pytest.raises(VersionConflict):
        store.put("k", b"2", old)


def test_delete(store: Store) -> None:
    version = store.put("k", b"1")
    with pytest.raises(VersionConflict):
        store.delete("k", version + 1)
    store.delete("k", version)
    assert store.get("k") is None
    assert store.scan() == []
    store.delete("k")
    with pytest.raises(VersionConflict):
        store.delete("k", version)


def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    old = store.put("b", b"old")
    store.put("c", b"old")
    with pytest.raises(VersionConflict, match="'b'"):
        store.transact([Put("a", b"new"), Put("b", b"new", old + 1), Delete("c"), Put("d", b"new")])
    assert [(record.key, record.value) for record in store.scan()] == [("b", b"old"), ("c", b"old")]
    version = store.transact([Put("a", b"new"), Put("b", b"new", old), Delete("c"), Put("d", b"new", ABSENT)])
    assert [(record.key, record.value, record.version) for record in store.scan()] == [(key, b"new", version) for key in "abd"]


def test_the_last_of_many_conditions_counts_as_well(store: Store) -> None:
    versions = [store.put(f"k{index}", b"old") for index in range(20)]
    changes = [Put(f"k{index}", b"new", version) for index, version in enumerate(versions)]
    store.put("k19", b"other")
    with pytest.raises(VersionConflict, match="'k19'"):
        store.transact(changes)
    assert {record.value for record in store.scan("k")} == {b"old", b"other"}


def test_an_empty_transaction_does_nothing(store: Store) -> None:
    store.transact([])
    assert store.scan() == []


def test_many_records_in_one_transaction(store: Store) -> None:
    store.transact([Put(f"k{index:05d}", b"%d" % index) for index in range(5000)])
    found = store.scan("k")
    assert [record.value for record in found] == [b"%d" % index for index in range(5000)]
    store.transact([Delete(record.key) for record in found])
    assert store.scan() == []


KEYS = (
    "%",
    "A",
    "Z",
    "_",
    "a",
    "a/",
    "a/1",
    "a/10",
    "a/2",
    "a0",
    "b",
    "é",
    "日本",
    "\ud7ff",
    "\ue000",
    "\U0001f600",
    "\U0010ffff",
    "\U0010ffffa",
)


def test_scan_is_in_the_order_of_code_points(store: Store) -> None:
    store.transact([Put(key, b"") for key in reversed(KEYS)])
    assert [record.key for record in store.scan()] == sorted(KEYS)


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/1", "%", "_", "\ud7ff", "\U0010ffff", "none"])
def test_scan_of_a_prefix(store: Store, prefix: str) -> None:
    store.transact([Put(key, b"") for key in KEYS])
    expected = sorted(key for key in KEYS if key.startswith(prefix))
    assert [record.key for record in store.scan(prefix)] == expected
    assert [record.key for record in store.scan(prefix, limit=1)] == expected[:1]
    for after in ("", "A", "a/", "a/1", "zzz", "\U0010ffff"):
        rest = [key for key in expected if key > after]
        assert [record.key for record in store.scan(prefix, after=after)] == rest
        assert [record.key for record in store.scan(prefix, after=after, limit=2)] == rest[:2]


def test_scan_with_limits(store: Store) -> None:
    store.put("k", b"")
    assert store.scan(limit=0) == []
    with pytest.raises(InvalidSetting, match="-1"):
        store.scan(limit=-1)


@pytest.mark.parametrize("key", ["", "a\0b", "\ud800", "é" * MAX_KEY, 7])
def test_keys_that_no_store_can_hold(store: Store, key: str) -> None:
    for refused in (lambda: store.put(key, b""), lambda: store.delete(key), lambda: store.get(key)):
        with pytest.raises(CannotStore):
            refused()
    assert store.scan() == []


def test_the_longest_key(store: Store) -> None:
    key = "\U0001f600" * (MAX_KEY // 4)
    store.put(key, b"1")
    assert [record.key for record in store.scan()] == [key]


@pytest.mark.parametrize("prefix", ["a\0", "\udfff"])
def test_prefixes_that_no_key_can_have(store: Store, prefix: str) -> None:
    with pytest.raises(CannotStore):
        store.scan(prefix)


def test_changes_that_cannot_be_meant(store: Store) -> None:
    with pytest.raises(InvalidSetting, match="twice"):
        store.transact([Put("k", b"1"), Delete("k")])
    with pytest.raises(InvalidSetting, match="absent"):
        store.transact([Delete("k", ABSENT)])
    with pytest.raises(CannotStore, match="must be bytes, not str"):
        store.transact([Put("a", b"1"), Put("k", "text")])  # type: ignore[arg-type]
    assert store.scan() == []


def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    store.close()
    for use in (lambda: store.get("k"), lambda: store.scan(), lambda: store.put("k", b"")):
        with pytest.raises(StoreUnavailable, match="closed"):
            use()


def count_up(store: Store, key: str, times: int) -> None:
    for _ in range(times):
        while True:
            record = store.get(key)
            value, version = (int(record.value), record.version) if record else (0, ABSENT)
            try:
                store.put(key, b"%d" % (value + 1), version)
                break
            except VersionConflict:
                continue


def test_threads_lose_no_update(store: Store) -> None:
    threads = [threading.Thread(target=count_up, args=(store, "count", 25)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record = store.get("count")
    assert record is not None and record.value == b"100"


def write_much(url: str, name: str) -> None:
    """Run in a process of its own: counts, and moves between two accounts in opposite order to the others."""
    store = open_store(url)
    count_up(store, "count", 30)
    pair = ("east", "west") if int(name) % 2 else ("west", "east")
    for turn in range(30):
        store.transact([Put(key, f"{name}.{turn}".encode()) for key in pair] + [Put(f"mine/{name}/{turn:02d}", b"")])
        east, west = store.scan("east"), store.scan("west")
        assert len(east) == len(west) == 1
    store.close()


def test_processes_lose_no_update(shared_url: str) -> None:
    # All of them open the store at the same moment, when it does not exist yet.
    context = get_context("spawn")
    processes = [context.Process(target=write_much, args=(shared_url, str(index))) for index in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    store = open_store(shared_url)
    count, east, west = store.get("count"), store.get("east"), store.get("west")
    assert count is not None and count.value == b"90"
    assert east is not None and west is not None and (east.value, east.version) == (west.value, west.version)
    assert len(store.scan("mine/")) == 90
    store.close()


def test_many_open_a_new_store_at_once(shared_url: str) -> None:
    together = threading.Barrier(6)

    def open_and_put(number: int) -> None:
        together.wait(30)
        store = open_store(shared_url)
        store.put(f"k{number}", b"")
        store.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(open_and_put, range(6)))
    store = open_store(shared_url)
    assert len(store.scan("k")) == 6
    store.close()


def test_what_was_put_is_there_for_the_next_process(shared_url: str) -> None:
    first = open_store(shared_url)
    version = first.put("k", b"kept")
    first.close()
    second = open_store(shared_url)
    record = second.get("k")
    assert record is not None and (record.value, record.version) == (b"kept", version)
    second.close()


@pytest.mark.parametrize(
    ("prefix", "end"),
    [("", None), ("a", "b"), ("a/", "a0"), ("\ud7ff", "\ue000"), ("a\U0010ffff", "b"), ("\U0010ffff", None)],
)
def test_the_end_of_a_prefix(prefix: str, end: str | None) -> None:
    assert end_of(prefix) == end
