"""Every store against a plain dict, over sequences of steps that nobody thought of."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from callboard.messages.errors import VersionConflict
from callboard.state.store import ABSENT, Change, Delete, Put, Store

KEYS = st.sampled_from(["a", "a/", "a/b", "ab", "b%", "b_", "é", "\U0010ffff"])
VALUES = st.binary(max_size=12)
EXPECTATIONS = st.sampled_from(["any", "right", "absent", "old"])
"""What a change expects: nothing in particular, what stands there, nothing there, or a version that is no more."""


class StoreMachine(RuleBasedStateMachine):
    """Carries out each step in the store and in a dict, and compares."""

    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, tuple[bytes, int]] = {}
        self.past: dict[str, int] = {}

    def expected(self, key: str, kind: str) -> int | None:
        if kind == "any":
            return None
        if kind == "absent":
            return ABSENT
        if kind == "right":
            return self.model[key][1] if key in self.model else ABSENT
        return self.past.get(key, 1)

    def fits(self, change: Change) -> bool:
        standing = self.model[change.key][1] if change.key in self.model else ABSENT
        return change.expected is None or change.expected == standing

    def transact(self, changes: Sequence[Change]) -> None:
        if all(self.fits(change) for change in changes):
            version = self.store.transact(changes)
            for change in changes:
                if change.key in self.model:
                    self.past[change.key] = self.model.pop(change.key)[1]
                if isinstance(change, Put):
                    self.model[change.key] = (change.value, version)
            return
        try:
            self.store.transact(changes)
        except VersionConflict:
            return
        raise AssertionError(f"{changes} was carried out over {self.model}")

    @rule(steps=st.dictionaries(KEYS, st.tuples(VALUES | st.none(), EXPECTATIONS), min_size=1, max_size=4))
    def write(self, steps: dict[str, tuple[bytes | None, str]]) -> None:
        changes: list[Change] = []
        for key, (value, kind) in steps.items():
            expected = self.expected(key, kind)
            if value is not None:
                changes.append(Put(key, value, expected))
            elif expected != ABSENT:
                changes.append(Delete(key, expected))
        self.transact(changes)

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        record = self.store.get(key)
        assert (None if record is None else (record.value, record.version)) == self.model.get(key)

    @rule(prefix=st.sampled_from(["", "a", "a/", "b", "é", "\U0010ffff", "c"]), after=st.none() | KEYS, limit=st.none() | st.integers(0, 4))
    def scan(self, prefix: str, after: str | None, limit: int | None) -> None:
        keys = sorted(key for key in self.model if key.startswith(prefix) and (after is None or key > after))
        assert [tuple(record) for record in self.store.scan(prefix, after, limit)] == [(key, *self.model[key]) for key in keys[:limit]]

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert {record.key: (record.value, record.version) for record in self.store.scan()} == self.model

    def teardown(self) -> None:
        self.store.transact([Delete(record.key) for record in self.store.scan()])


def test_every_store_is_like_a_dict(store: Store) -> None:
    machine = type("Machine", (StoreMachine,), {"store": store})
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)),
    )
