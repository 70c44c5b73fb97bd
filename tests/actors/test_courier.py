"""What the manager remembers of a peer."""

from __future__ import annotations

from typing import Any

import pytest

from callboard.actors import courier
from callboard.actors.courier import Missed, Peer, keep_codes, outcomes
from callboard.actors.dispatch.dispatcher import Dispatcher
from callboard.actors.dispatch.entry import Entry
from callboard.actors.uplink import settled
from callboard.flows.function import call_submission
from callboard.flows.task import Task
from callboard.messages.codec import decode
from callboard.messages.errors import WireError
from callboard.messages.failure import Failure
from callboard.messages.status import TaskStatus
from callboard.messages.task import Submission
from callboard.messages.wire import Assign, Deliver, Submit


class Ended:
    def __init__(self, task_id: str, output: bytes | None = b"out", error: str | None = None, failure: Failure | None = None) -> None:
        self.task_id, self.name = task_id, f"name of {task_id}"
        self.status = TaskStatus.COMPLETED if error is None else TaskStatus.FAILED
        self.output, self.error, self.failure = output, error, failure
        self.worker_name, self.attempts, self.micros = "ada", 2, 17


class Manager:
    """As much of one as it takes to have entries."""

    def __init__(self) -> None:
        self.dispatcher = Dispatcher()
        self.codes: dict[str, bytes] = {}

    def entry(self, submission: Submission) -> Entry:
        keep_codes([submission], self.codes)
        assert self.dispatcher.submit("client", [submission], 0.0, 1_700_000_000.0) == []
        return self.dispatcher.ledger.entries[submission.task_id]

    def assign(self, peer: Peer, *entries: Entry) -> tuple[Assign, list[Any]]:
        message, payloads = decode(peer.assign(entries, "epoch", self.dispatcher.ledger, self.codes, 0.0))
        assert isinstance(message, Assign)
        return message, payloads


@pytest.fixture
def peer() -> Peer:
    return Peer("identity", "worker", "ada", None, None)


def test_an_assignment_has_all_that_a_worker_needs(peer: Peer) -> None:
    manager = Manager()
    first = manager.entry(Task("first", "worker", {"data": 1}).submission())
    second = manager.entry(call_submission(abs, (-1,), {}))
    message, payloads = manager.assign(peer, first, second)
    assert message.ids == [first.task_id, second.task_id] and message.names == ["first", "abs"] and message.epoch == "epoch"
    assert message.times == [1_700_000_000] * 2 and len(message.specs or {}) == 2
    assert payloads[0] == first.payload
    assert message.codes == list(manager.codes) and payloads[-1] == manager.codes[message.codes[0]]


def test_what_a_worker_knows_is_not_told_again_until_it_has_missed_something(peer: Peer) -> None:
    manager = Manager()

    def told() -> tuple[int, int]:
        message, _ = manager.assign(peer, manager.entry(call_submission(abs, (-1,), {})))
        return len(message.specs or {}), len(message.codes or [])

    assert [told() for _ in range(3)] == [(1, 1), (0, 0), (0, 0)]
    peer.missed()
    assert told() == (1, 1) and told() == (0, 0)
    peer.reconnected()
    assert told() == (1, 1)


def test_later_attempts_say_that_they_are(peer: Peer) -> None:
    manager = Manager()
    entry = manager.entry(Task("again", "worker").submission())
    assert manager.assign(peer, entry)[0].attempts is None
    entry.attempts, entry.own_rare().failures = 2, 1
    message, _ = manager.assign(peer, entry)
    assert message.attempts == {0: 3} and message.failures == {0: 1}


def test_outputs_of_dependencies_travel_once_a_message(peer: Peer) -> None:
    manager = Manager()
    source = manager.entry(Task("source", "worker").submission())
    source.output, source.status = b"the output", TaskStatus.COMPLETED
    dependents = [manager.entry(Task(f"{n}", "worker", dependencies=[source.task_id]).submission()) for n in range(3)]
    message, payloads = manager.assign(peer, *dependents)
    assert message.inputs is not None and message.inputs.ids == [source.task_id] and message.needs == {0: [0], 1: [0], 2: [0]}
    (row,) = settled(message.inputs, payloads)
    assert row.output == b"the output" and payloads.count(b"the output") == 1


def test_deliveries_are_kept_until_they_are_acknowledged() -> None:
    peer = Peer("identity", "client", "client", None, None)
    frames = [peer.deliver([Ended(f"{n}")]) for n in range(4)]
    assert peer.reconnected() == frames
    peer.acknowledged(2)
    assert peer.reconnected() == frames[2:]
    peer.acknowledged(1)
    assert peer.reconnected() == frames[2:]
    peer.acknowledged(99)
    assert peer.reconnected() == []
    message = decode(peer.deliver([Ended("5")]))[0]
    assert isinstance(message, Deliver) and message.number == 5


def test_a_client_that_never_acknowledges_is_not_kept_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "MAX_UNACKNOWLEDGED", 10_000)
    peer = Peer("identity", "client", "client", None, None)
    frames = [peer.deliver([Ended(f"{n}", b"x" * 3000)]) for n in range(10)]
    kept = peer.reconnected()
    assert 1 <= len(kept) <= 3 and kept == frames[-len(kept) :]


def test_outcomes_as_columns() -> None:
    payloads: list[Any] = [b"something before"]
    failure = Failure.of(ValueError("no"))
    told = outcomes([Ended("a"), Ended("b", None), Ended("c", b"half", "it failed", failure)], payloads)
    assert payloads == [b"something before", b"out", b"half"] and told.payloads == [1, -1, 2]
    rows = settled(told, payloads)
    assert [(row.task_id, row.output, row.error) for row in rows] == [("a", b"out", None), ("b", None, None), ("c", b"half", "it failed")]
    assert rows[2].failure == failure and rows[0].failure is None
    assert (rows[0].name, rows[0].worker_name, rows[0].attempts, rows[0].micros) == ("name of a", "ada", 2, 17)


def submit(**fields: Any) -> Submit:
    given: dict[str, Any] = {"ids": ["a"], "names": ["a"], "spec_of": [0], **fields}
    return Submit(**given)


def test_a_submit_that_refers_to_what_did_not_come_is_missed(peer: Peer) -> None:
    with pytest.raises(Missed):
        peer.submissions(submit(), [b""], {})
    spec = Task("x", "worker").spec()
    assert len(peer.submissions(submit(specs={0: spec}), [b""], {})) == 1
    assert len(peer.submissions(submit(), [b""], {})) == 1
    with_code = call_submission(abs, (-1,), {})
    with pytest.raises(Missed):
        peer.submissions(submit(spec_of=[1], specs={1: with_code.spec}), [b""], {})


@pytest.mark.parametrize(
    "fields",
    [
        {"ids": ["a", "b"], "names": ["a", "b"], "spec_of": [0, 0]},
        {"codes": ["digest"]},
        {"dependencies": {7: ["x"]}},
        {"fallback_values": {0: 9}},
        {"fallback_tasks": {0: 3}},
    ],
)
def test_a_submit_that_contradicts_itself_is_refused(peer: Peer, fields: dict[str, Any]) -> None:
    spec = Task("x", "worker").spec()
    with pytest.raises(WireError):
        peer.submissions(submit(specs={0: spec}, **fields), [b""], {})
