"""An authenticated peer that says what is almost right."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard import Playground
from callboard.actors.keyring import Address, read_connection
from callboard.actors.reception import MAX_STRIKES
from callboard.messages.codec import decode, encode
from callboard.messages.errors import WireError
from callboard.messages.wire import HandBack, Hello, Report
from tests.faults.crew import Hand, manager_of, order, outputs
from tests.faults.mutation import CLIENT, WORKER, Target, corpus, mutated
from tests.faults.test_intruder import dealer

Figure = Callable[[str, object], None]
VALID = corpus()


class Clock:
    """Goes on by a little at each look, so that timers run as well."""

    def __init__(self) -> None:
        self._now = 1000.0

    def monotonic(self) -> float:
        self._now += 0.03
        return self._now

    def time(self) -> float:
        return time.time()


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    for module in ("manager", "reception"):
        monkeypatch.setattr(f"callboard.actors.{module}.time", Clock())
    made = Target()
    yield made
    made.close()


def test_the_messages_that_are_mutated_are_good_ones(target: Target) -> None:
    for who, frames in VALID:
        target.feed(who, frames)
    # A client's Probe and Rejoin are for managers to say.
    assert target.manager.reception.malformed == 2
    assert target.messages > 10


@pytest.mark.timeout(1200)
def test_a_manager_survives_mutations(full: bool, target: Target, figure: Figure, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "callboard")
    fed, decoded = [0], [0]
    reception = target.manager.reception

    @settings(max_examples=100_000 if full else 1_500, database=None)
    @given(st.sampled_from(range(len(VALID))), st.integers(0, 2**62))
    def feed(index: int, seed: int) -> None:
        if fed[0] % 8 == 0:
            # Fresh peers and tasks, since mutations say goodbye, strike peers off and end tasks.
            reception._banned.clear()
            for who, frames in VALID[:5]:
                target.feed(who, frames)
        who, frames = VALID[index]
        changed = mutated(frames, random.Random(seed))
        fed[0] += 1
        with suppress(WireError):
            decode(changed)
            decoded[0] += 1
        target.feed(who, changed)

    feed()
    figure("mutations of messages: fed, of which still messages", f"{fed[0]:,}, {decoded[0]:,}")
    assert fed[0] >= (100_000 if full else 1_000)
    assert decoded[0] < fed[0]
    assert reception.malformed > 0


def test_a_peer_that_says_nonsense_is_struck_off(target: Target) -> None:
    for who, frames in VALID[:3]:
        target.feed(who, frames)
    reception = target.manager.reception
    for number in range(MAX_STRIKES):
        assert WORKER in reception.peers
        target.feed(WORKER, [b"nonsense %d" % number])
    assert WORKER not in reception.peers
    assert WORKER not in target.manager.dispatcher.roster.workers
    assert CLIENT in reception.peers
    # It is heard no more, whatever it says.
    target.feed(*VALID[0])
    assert WORKER not in reception.peers
    malformed = reception.malformed
    target.feed(WORKER, [b"nonsense"])
    assert reception.malformed == malformed


@pytest.mark.usefixtures("no_leaks")
def test_nonsense_over_the_wire_harms_nobody_else(full: bool, port: int, caplog: pytest.LogCaptureFixture, figure: Figure) -> None:
    rounds = 200 if full else 10
    chance = random.Random(11)
    with Playground(port=port).play(workers=[Hand("ada")]) as stage:
        credentials = read_connection(Address("127.0.0.1", port))
        manager = manager_of(stage)
        for _ in range(rounds):
            with dealer(port, credentials) as peer:
                for _ in range(50):
                    _, frames = chance.choice(VALID)
                    peer.send_multipart(mutated(frames, chance))
                peer.send_multipart(VALID[1][1])
                peer.poll(50)
            assert outputs([stage.submit(order("echo", number)) for number in range(5)]) == list(range(5))
        figure("mutations over the wire: sent, taken for malformed", f"{rounds * 50:,}, {manager.reception.malformed:,}")
        assert manager.reception.malformed > 0
    assert "could not handle a message" not in caplog.text


@pytest.mark.usefixtures("no_leaks")
def test_answers_for_what_was_never_asked_are_ignored_and_counted(port: int) -> None:
    with Playground(port=port).play(workers=[Hand("ada", role="other")]) as stage:
        handles = [stage.submit(order("echo", number)) for number in range(3)]
        ids = [handle.task_id for handle in handles]
        with dealer(port, read_connection(Address("127.0.0.1", port))) as impostor:
            impostor.identity = b"i" * 32
            mine = manager_of(stage).reception._mine
            impostor.disconnect(f"tcp://127.0.0.1:{port}")
            impostor.connect(f"tcp://127.0.0.1:{port}")
            impostor.send_multipart(
                encode(Hello(python=mine.python, cloudpickle=mine.cloudpickle, peer="worker", name="impostor", role="impostor"))
            )
            lie = Report(epoch="e", number=1, ids=[*ids, "none"], fences=[1, 2, 3, 4], endings=[0] * 4, micros=[1] * 4, sizes=[3] * 4)
            impostor.send_multipart(encode(lie, [b"lie" * 4]))
            impostor.send_multipart(encode(HandBack(epoch="e", ids=ids, fences=[1, 2, 3])))
            until = time.monotonic() + 10
            while stage.task_manager.overview()["stale"] < 4:
                assert time.monotonic() < until
                time.sleep(0.01)
            assert stage.task_manager.overview()["ready"] == 3
            assert not any(handle.done() for handle in handles)
        for handle in handles:
            assert handle.cancel()
