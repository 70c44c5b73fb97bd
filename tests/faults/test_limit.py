"""What is larger than may travel, and how much may."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callboard import Playground, Task, TaskStatus, connect, task
from callboard.actors.keyring import Address, read_connection
from callboard.actors.shelf import Shelf
from callboard.messages.codec import encode
from callboard.messages.errors import InvalidSetting, InvalidTask, PayloadTooLarge
from callboard.messages.limit import LARGEST_PAYLOAD, MAX_FRAME, MAX_FRAMES
from callboard.messages.wire import Ask, Submit
from callboard.playground.board import Board
from tests.faults.conftest import Start
from tests.faults.crew import Hand, manager_of, order, outputs
from tests.faults.test_intruder import dealer, hello
from tests.faults.test_pressure import resident

Figure = Callable[[str, object], None]
LIMIT = 100_000


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("far", [False, True], ids=["in the process", "over TCP"])
def test_an_honest_sender_is_told_before_anything_is_sent(far: bool, port: int) -> None:
    with Playground(port=port, max_payload=LIMIT).play(workers=[Hand("ada")]) as stage:
        board: Any = connect(f"tcp://127.0.0.1:{port}") if far else stage
        try:
            with pytest.raises(PayloadTooLarge, match=r"the input of task 'echo' has [\d,]+ bytes; max_payload is 100,000 bytes"):
                board.submit(order("echo", bytes(LIMIT)))
            with pytest.raises(PayloadTooLarge, match="the fallback of task 'echo'"):
                board.submit(order("echo", 1, fallback=bytes(LIMIT)))
            with pytest.raises(PayloadTooLarge, match="the input of task 'inner'"):
                board.submit(order("echo", 1, fallback=order("echo", bytes(LIMIT), name="inner")))
            with pytest.raises(PayloadTooLarge, match="the data of event 'news'"):
                board.emit("news", text=bytes(LIMIT))
            assert stage.task_manager.overview()["open"] == 0
            result = board.submit(order("large", LIMIT)).result(10)
            assert result.status is TaskStatus.FAILED
            assert result.attempts == 1
            with pytest.raises(PayloadTooLarge, match="the output has"):
                result.unwrap()
            assert len(board.submit(order("large", LIMIT - 100)).result(10).unwrap()) == LIMIT - 100
            small = board.submit(order("echo", bytes(LIMIT - 1000)))
            assert small.result(10).unwrap() == bytes(LIMIT - 1000)
        finally:
            if far:
                board.close()


@pytest.mark.usefixtures("no_leaks")
def test_limits_below_what_is_packed_apart_hold_too() -> None:
    with Playground(max_payload=2048).play(workers=[Hand("ada")]) as stage:
        with pytest.raises(PayloadTooLarge):
            stage.submit(order("echo", bytes(4000)))
        with pytest.raises(PayloadTooLarge):
            stage.submit(order("large", 4000)).result(10).unwrap()
    with pytest.raises(InvalidSetting, match="max_payload"):
        Playground(max_payload=LARGEST_PAYLOAD + 1)


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"name": "n" * 2000}, "the name of a task has at most 1024 characters, not 2,000"),
        ({"id": "i" * 300}, "the id of a task has at most 256 characters"),
        ({"idempotency_key": "k" * 2000}, "the idempotency_key of a task"),
        ({"dependencies": ["d" * 300]}, "the dependency of a task"),
        ({"name": "\udc80"}, "can be encoded"),
    ],
    ids=["name", "id", "key", "dependency", "surrogate"],
)
def test_names_that_cannot_travel_are_refused(declared: dict[str, Any], words: str) -> None:
    with Playground().play(workers=[]) as stage, pytest.raises(InvalidTask, match=words):
        stage.submit(order("echo", 1, **declared))


@pytest.mark.usefixtures("no_leaks")
def test_much_at_once_arrives_in_parts(tmp_path: Path, port: int, start: Start) -> None:
    """More, by bytes, by frames and by the length of errors, than one message can hold."""
    key = tmp_path / "key"
    address = f"tcp://127.0.0.1:{port}"
    with Playground(port=port, key_file=key).play(workers=[]), connect(address, key=key) as board:
        joined = [board.submit(order("echo", bytes([number % 256]) * 30_000)) for number in range(600)]
        total = board.submit(Task("join", "worker", {"data": ("echo", 1)}, dependencies=[handle.task_id for handle in joined]))
        apart = [board.submit(order("echo", bytearray([number % 256]) * 40_000)) for number in range(2500)]
        pieces = board.submit(order("echo", [bytearray(33_000) for _ in range(3000)]))
        failing = [board.submit(order("fail", "x" * 200_000)) for _ in range(100)]
        start("worker", address, key, "ada")
        assert outputs(joined) == [bytes([number % 256]) * 30_000 for number in range(600)]
        assert outputs(apart) == [bytearray([number % 256]) * 40_000 for number in range(2500)]
        assert [len(piece) for piece in pieces.result(30).unwrap()] == [33_000] * 3000
        for handle in failing:
            result = handle.result(30)
            assert result.status is TaskStatus.FAILED
            assert len(str(result.error)) < 20_000
        assert total.result(30).unwrap() == 1


@pytest.mark.usefixtures("no_leaks")
def test_dependencies_that_no_message_holds_fail_the_task_alone() -> None:
    with Playground().play(workers=[Hand("ada")]) as stage:
        pieces = [stage.submit(order("large", 40_000)) for _ in range(MAX_FRAMES + 100)]
        total = stage.submit(Task("join", "worker", {"data": ("echo", 1)}, dependencies=[piece.task_id for piece in pieces]))
        with pytest.raises(PayloadTooLarge, match="gather it by fan_out"):
            total.result(60).unwrap()
        assert stage.submit(order("echo", 2)).result(10).output == 2


@pytest.mark.usefixtures("no_leaks")
def test_events_of_any_size_harm_nothing(port: int) -> None:
    heard: list[Any] = []
    odd: dict[str, Any] = {"long": "x" * 10_000_000, "deep": _nested(100), "huge": 10**5000, "half": "\udc80", "many": list(range(100_000))}
    with Playground(port=port).play(workers=[]) as stage, connect(f"tcp://127.0.0.1:{port}") as board:
        stage.on("odd", lambda event: heard.append(event.data))
        for source in (stage, board):
            source.emit("odd", **odd)
            for _ in range(1000):
                source.emit("odd", text="y" * 4000, more="z" * 4000)
        until = time.monotonic() + 20
        while len(heard) < 2002 and time.monotonic() < until:
            time.sleep(0.01)
    assert len(heard) == 2002
    assert [data for data in heard if "long" in data] == [odd, odd]


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.usefixtures("no_leaks")
def test_a_message_over_the_limits_is_cut_off_at_the_receiver(port: int, figure: Figure) -> None:
    with Playground(port=port).play(workers=[Hand("ada")]) as stage:
        credentials = read_connection(Address("127.0.0.1", port))
        reception = manager_of(stage).reception
        gc.collect()
        before = resident()
        with dealer(port, credentials) as peer:
            peer.send_multipart(hello())
            assert peer.poll(3000)
            malformed = reception.malformed
            peer.send_multipart([b"x"] * 10_000)
            _wait(lambda: reception.malformed == malformed + 1)
            # A frame over the limit ends the connection; the socket comes back by itself and is a stranger's no more.
            peer.send(bytes(MAX_FRAME + 1))
            peer.send_multipart(encode(Ask(number=1, what="overview")))
            assert stage.submit(order("echo", 1)).result(10).output == 1
            assert reception.malformed == malformed + 1
        figure("messages over the limits: memory grown (MB)", (resident() - before) / 1e6)
        assert _rows_refused(stage)


def _rows_refused(board: Board) -> bool:
    with pytest.raises(ValueError, match="ids"):
        Submit(ids=["x"] * 100_001, names=["x"] * 100_001, spec_of=[0] * 100_001)
    return int(board.task_manager.overview()["open"]) == 0


def _wait(seen: Callable[[], bool], patience: float = 10.0) -> None:
    until = time.monotonic() + patience
    while not seen():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.usefixtures("no_leaks")
def test_code_that_was_let_go_is_said_again(port: int) -> None:
    def made(number: int) -> Task:
        return task(lambda: number).task()

    with Playground(port=port).play(workers=1) as stage, connect(f"tcp://127.0.0.1:{port}") as board:
        manager = manager_of(stage)
        manager.outbound._shelf = Shelf(1)
        one = task(lambda: 1)
        code = one.task().submission().code
        assert code is not None
        numbers = itertools.count()
        for _ in range(3):
            # Each of these makes the manager, and the worker, let go of what came before.
            assert board.submit(one.task()).result(10).output == 1
            assert [board.submit(made(number)).result(10).output for number in range(-5, 0)] == list(range(-5, 0))
            assert stage.submit(one.task()).result(10).output == 1
            until = time.monotonic() + 10
            while code.digest in manager.codes:
                assert time.monotonic() < until
                assert board.submit(made(next(numbers))).result(10).success  # it is looked for again when there is more
                time.sleep(0.05)
