"""What is kept of the code that was ever submitted."""

from __future__ import annotations

from callboard.actors.courier import Peer, keep_codes
from callboard.actors.dispatch.dispatcher import Dispatcher
from callboard.actors.dispatch.rule import Rule
from callboard.actors.shelf import Shelf, code_in_use
from callboard.events.topic import Pattern
from callboard.flows.function import call_submission
from callboard.flows.task import Task
from callboard.messages.codec import decode
from callboard.messages.task import Submission
from callboard.messages.wire import Assign


def made(number: int) -> Submission:
    """A call of a function that was made for it."""
    return call_submission(lambda: number, (), {})


def digest(submission: Submission) -> str:
    assert submission.code is not None
    return submission.code.digest


def test_little_is_kept_for_ever() -> None:
    codes = {"a": b"12345", "b": b"12345"}
    assert Shelf(10).tidy(codes, lambda: set()) == [] and len(codes) == 2


def test_of_too_much_the_oldest_goes_that_nobody_needs() -> None:
    codes = dict.fromkeys("abcdef", b"12")
    assert Shelf(10).tidy(codes, lambda: {"a", "c"}) == ["b", "d", "e", "f"]
    codes = dict.fromkeys("abcdef", b"12")
    assert Shelf(11).tidy(codes, lambda: {"a"}) == ["b", "c", "d", "e"] and list(codes) == ["a", "f"]


def test_what_is_needed_is_kept_whatever_it_weighs_and_not_looked_through_each_time() -> None:
    shelf, looks = Shelf(10), list[int]()
    codes: dict[str, bytes] = {}

    def needed() -> set[str]:
        looks.append(len(codes))
        return set(codes)

    for number in range(1000):
        codes[str(number)] = b"12"
        assert shelf.tidy(codes, needed) == []
    assert len(codes) == 1000 and len(looks) <= 12


def test_all_that_may_still_be_run_is_in_use() -> None:
    dispatcher = Dispatcher()
    first, fallback, template, over, bare = (made(number) for number in range(5))
    first.fallback = fallback
    assert dispatcher.submit("client", [first, over, bare], 0.0) == []
    dispatcher.cancel([over.task_id], False, 0.0)
    dispatcher.endings.rules.add(Rule("rule", Pattern("task.*"), {}, template, "client"))
    assert code_in_use(dispatcher) == {digest(first), digest(fallback), digest(template), digest(bare)}


def test_a_worker_is_told_again_what_it_was_told_to_let_go() -> None:
    dispatcher, codes = Dispatcher(), dict[str, bytes]()
    peer = Peer("identity", "worker", "ada", None, None)
    one = made(1)
    keep_codes([one], codes)
    again = Submission("again", "again", one.spec, one.payload, (), one.code)
    plain = Task("plain", "worker").submission()
    assert dispatcher.submit("client", [one, again, plain], 0.0) == []

    def told(task_id: str) -> list[str]:
        message, _ = decode(peer.assign([dispatcher.ledger.entries[task_id]], "epoch", dispatcher.ledger, codes, 0.0))
        assert isinstance(message, Assign)
        return list(message.codes or [])

    assert told(one.task_id) == [digest(one)] and told("again") == [] and told(plain.task_id) == []
    assert peer.forget_codes([digest(one), "other"]) == [digest(one)] and peer.forget_codes([digest(one)]) == []
    assert told("again") == [digest(one)]
