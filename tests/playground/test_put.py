"""Values that are put once and used by many tasks: they travel once to each worker, and are let go after the last use."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from callboard import CannotPickle, PayloadTooLarge, Playground, PlaygroundClosed, ProcessRequest, Task, connect, task
from callboard.messages import shared
from callboard.messages.errors import UnknownValue
from tests.playground.crew import Noting, note, until

LARGE = 3 * 1024 * 1024


class Weighed:
    """Counts, in a file, how often it is loaded; its bytes travel out of band."""

    def __init__(self, path: str, size: int) -> None:
        self.path = path
        self.blob = bytearray(size)

    def __reduce__(self) -> tuple[Any, ...]:
        return _load, (self.path, len(self.blob))


def _load(path: str, size: int) -> Weighed:
    note(path, str(os.getpid()))
    return Weighed(path, size)


def weigh(value: Weighed, more: int = 0) -> tuple[int, int]:
    """The size, and in which process."""
    return len(value.blob) + more, os.getpid()


def keeps(value_id: str) -> bool:
    """Whether this process keeps a value."""
    return value_id in shared._kept


def identity(value: Any) -> Any:
    return value


def die_once(value: bytes, path: str) -> int:
    """Ends its process the first time."""
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return len(value)


class Length(Task):
    """Carries its own code."""

    def execute(self, value: Any) -> int:
        return len(value)


class Measuring(Noting):
    """Measures what stands in its input_data."""

    def work(self, request: ProcessRequest) -> Any:
        return {name: len(value) for name, value in request.input_data.items()}


@pytest.fixture(scope="module")
def stage() -> Iterator[Playground]:
    with Playground().play(workers=2) as playground:
        yield playground


def held(stage: Playground, value_id: str) -> bool:
    """Whether the manager keeps a value."""
    session = stage._session
    assert session is not None and session.manager is not None
    return value_id in session.manager.dispatcher.ledger.values


def until_gone(stage: Playground, value_id: str) -> None:
    until(lambda: not held(stage, value_id), "letting go of the value")


# -- what may be done with it ---------------------------------------------------------------------


def test_a_function_gets_the_value_itself(stage: Playground) -> None:
    ref: Any = stage.put({"a": [1, 2, 3]})
    assert stage.executor.submit(identity, ref).result(20) == {"a": [1, 2, 3]}
    assert stage.submit(task(identity).task(value=ref)).result(20).output == {"a": [1, 2, 3]}
    assert stage.executor.submit(identity, value=ref).result(20) == {"a": [1, 2, 3]}


def test_a_task_with_code_and_a_function_with_input_data_get_it(stage: Playground) -> None:
    ref: Any = stage.put(b"12345")
    assert stage.submit(Length(input_data={"value": ref})).result(20).unwrap() == 5


def test_beside_a_task_among_the_arguments(stage: Playground) -> None:
    ref: Any = stage.put([1, 2])
    first = task(identity).task([3])
    second = task(_joined).task(ref, first)
    handles = [stage.submit(first), stage.submit(second)]
    assert handles[1].result(20).unwrap() == [1, 2, 3]


def _joined(a: list[int], b: list[int]) -> list[int]:
    return a + b


def test_a_worker_finds_it_in_input_data() -> None:
    with Playground().play(workers=[Measuring("ada")]) as stage:
        first, second = stage.put(bytes(LARGE)), stage.put("four")
        result = stage.submit(Task("t", "worker", {"first": first, "second": second})).result(20)
        assert result.output == {"first": LARGE, "second": 4}


def test_none_and_large_values(stage: Playground) -> None:
    assert stage.executor.submit(identity, stage.put(None)).result(20) is None
    blob = os.urandom(20 * 1024 * 1024)
    assert stage.executor.submit(identity, stage.put(blob)).result(30) == blob


def test_what_changes_after_put_does_not_matter(stage: Playground) -> None:
    data = bytearray(LARGE)
    ref: Any = stage.put(data)
    data[0] = 1
    assert stage.executor.submit(_first, ref).result(20) == 0


def _first(value: bytearray) -> int:
    return value[0]


def test_many_tasks_with_it_and_something_of_their_own(stage: Playground) -> None:
    ref: Any = stage.put([1, 2])
    handles = [stage.executor.submit(_joined, ref, [item]) for item in range(50)]
    assert [handle.result(20) for handle in handles] == [[1, 2, item] for item in range(50)]


def test_a_rule_keeps_it_for_the_tasks_that_it_starts(stage: Playground) -> None:
    done = threading.Event()
    listening = stage.on("task.completed", lambda event: done.set(), where={"name": "follow"})
    ref: Any = stage.put("an umbrella")
    value_id = ref.value_id
    rule = stage.on("it.rains", start=task(name="follow")(_follow).task(ref))
    del ref
    gc.collect()
    stage.emit("it.rains")
    assert done.wait(20)
    assert held(stage, value_id)
    rule.cancel()
    listening.cancel()
    until_gone(stage, value_id)


def _follow(value: str) -> str:
    return value


# -- how it travels ---------------------------------------------------------------------------------


def test_it_is_loaded_once_by_each_worker_and_let_go_after_the_last_use(stage: Playground, tmp_path: Path) -> None:
    path = str(tmp_path / "loads")
    ref: Any = stage.put(Weighed(path, 1000))
    value_id = ref.value_id
    results = [handle.result(20) for handle in [stage.executor.submit(weigh, ref, item) for item in range(300)]]
    assert [size for size, _ in results] == [1000 + item for item in range(300)]
    loads = Path(path).read_text().split()
    assert len(loads) == len(set(loads)) and set(map(str, {pid for _, pid in results})) == set(loads)
    handle = stage.executor.submit(weigh, ref)
    del ref
    assert handle.result(20)[0] == 1000, "an open task keeps it"
    until_gone(stage, value_id)
    assert not any(future.result(20) for future in [stage.executor.submit(keeps, value_id) for _ in range(8)])


def test_it_is_sent_again_to_a_worker_that_was_started_again(stage: Playground, tmp_path: Path) -> None:
    ref: Any = stage.put(bytes(LARGE))
    assert stage.executor.submit(len, ref).result(20) == LARGE
    assert stage.executor.submit(die_once, ref, str(tmp_path / "died")).result(30) == LARGE
    handles = [stage.executor.submit(len, ref) for _ in range(20)]
    assert {handle.result(20) for handle in handles} == {LARGE}


def test_cancelled_tasks_need_it_no_longer(stage: Playground) -> None:
    ref: Any = stage.put("x")
    value_id = ref.value_id
    waiting = stage.submit(Task("nobody", input_data={"value": ref}, skills={"magic": 9}))
    del ref
    until(lambda: held(stage, value_id), "its arrival")
    assert waiting.cancel()
    until_gone(stage, value_id)


# -- from elsewhere -----------------------------------------------------------------------------------


def test_over_a_connection(free_port: Callable[[], int]) -> None:
    port = free_port()
    with Playground(port=port).play(workers=2) as stage, connect(f"tcp://127.0.0.1:{port}") as client:
        ref: Any = client.put(bytes(LARGE))
        value_id = ref.value_id
        assert held(stage, value_id)
        handles = [client.executor.submit(len, ref) for _ in range(50)]
        assert {handle.result(20) for handle in handles} == {LARGE}
        assert client.submit(Length(input_data={"value": ref})).result(20).unwrap() == LARGE
        del ref
        until_gone(stage, value_id)


def test_a_client_that_goes_takes_its_values_along(free_port: Callable[[], int]) -> None:
    port = free_port()
    with Playground(port=port).play(workers=1) as stage:
        with connect(f"tcp://127.0.0.1:{port}") as client:
            ref: Any = client.put("x")
            assert held(stage, ref.value_id)
        until_gone(stage, ref.value_id)


# -- what cannot be ------------------------------------------------------------------------------------


def test_on_another_stage_the_task_fails_and_says_why(stage: Playground) -> None:
    with Playground().play(workers=1) as other:
        ref: Any = other.put("x")
        assert other.executor.submit(identity, ref).result(20) == "x"
    with pytest.raises(UnknownValue, match=r"'identity' uses the shared value .*: its stage has ended, or it was put on another one"):
        stage.executor.submit(identity, ref).result(20)


def test_inside_another_value_the_task_fails_and_says_why(stage: Playground) -> None:
    ref: Any = stage.put("x")
    with pytest.raises(UnknownValue, match="as an argument itself or at the top level of input_data"):
        stage.executor.submit(identity, [[ref]]).result(20)


def test_what_cannot_be_put(stage: Playground) -> None:
    with pytest.raises(CannotPickle, match="a shared value cannot be pickled"):
        stage.put(threading.Lock())
    with Playground(max_payload=100_000).play(workers=0) as small, pytest.raises(PayloadTooLarge, match="a shared value has"):
        small.put(bytes(LARGE))
    with pytest.raises(PlaygroundClosed):
        Playground().put(1)
