"""What the standard library expects of an executor, of this one."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import gc
import operator
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, CancelledError, Future
from pathlib import Path
from typing import Any

import pytest

from callboard import CannotPickle, Playground, TaskFailed, TaskHandle, WorkerDied
from callboard.playground.executor import PlaygroundExecutor
from tests.playground.crew import begun, note, until


@pytest.fixture(scope="module")
def stage() -> Iterator[Playground]:
    with Playground().play(workers=2) as playground:
        yield playground


@pytest.fixture
def executor(stage: Playground) -> PlaygroundExecutor:
    return stage.executor


def capture(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


def sleep_and(value: Any, seconds: float) -> Any:
    time.sleep(seconds)
    return value


def boom(text: str) -> None:
    raise ZeroDivisionError(text)


def hold(mark: str, seconds: float = 0.3) -> str:
    note(mark, "x")
    time.sleep(seconds)
    return "held"


def hold_until(mark: str, end: Path) -> str:
    note(mark, "x")
    until(end.exists, "the word to end")
    return "held"


class Adder:
    def __init__(self, base: int) -> None:
        self.base = base

    def __call__(self, value: int) -> int:
        return self.base + value

    def method(self, value: int) -> int:
        return self.base * value

    @staticmethod
    def static(value: int) -> int:
        return -value

    @classmethod
    def made(cls, value: int) -> int:
        return cls(1)(value)


# -- submit ---------------------------------------------------------------------------------------------


def test_it_is_an_executor(executor: PlaygroundExecutor) -> None:
    assert isinstance(executor, concurrent.futures.Executor)
    future = executor.submit(pow, 2, 8)
    assert isinstance(future, Future) and future.result(20) == 256
    assert future.done() and not future.running() and not future.cancelled() and future.exception() is None


def test_submit_passes_all_arguments(executor: PlaygroundExecutor) -> None:
    assert executor.submit(capture, 1, self=2, fn=3).result(20) == ((1,), {"self": 2, "fn": 3})
    assert executor.submit(capture, executor="x", task="y", name="z").result(20) == ((), {"executor": "x", "task": "y", "name": "z"})
    call: Any = executor.submit
    with pytest.raises(TypeError):
        call(fn=capture, arg=1)
    with pytest.raises(TypeError):
        call(arg=1)


def test_it_runs_in_other_processes(executor: PlaygroundExecutor) -> None:
    pids = {executor.submit(os.getpid).result(20) for _ in range(10)}
    assert os.getpid() not in pids


@pytest.mark.parametrize(
    ("call", "value", "expected"),
    [
        (lambda value: value + 1, 1, 2),
        (functools.partial(operator.add, 10), 1, 11),
        (Adder(5), 2, 7),
        (Adder(5).method, 2, 10),
        (Adder.static, 2, -2),
        (Adder.made, 2, 3),
        (operator.itemgetter(1), (4, 5), 5),
        ("{:>4}".format, "x", "   x"),
        (int, "12", 12),
    ],
)
def test_any_callable_will_do(executor: PlaygroundExecutor, call: Callable[[Any], Any], value: Any, expected: Any) -> None:
    assert executor.submit(call, value).result(20) == expected


def test_closures_and_local_classes_travel(executor: PlaygroundExecutor) -> None:
    factor = 3

    class Local:
        def __init__(self, value: int) -> None:
            self.value = value * factor

    def make(value: int) -> Local:
        return Local(value)

    assert executor.submit(make, 4).result(20).value == 12


def test_coroutine_functions_are_awaited(executor: PlaygroundExecutor) -> None:
    async def later(value: int) -> int:
        await asyncio.sleep(0.01)
        return value

    assert executor.submit(later, 4).result(20) == 4  # type: ignore[comparison-overlap]


def test_a_callable_that_cannot_be_carried_is_refused_at_once(executor: PlaygroundExecutor) -> None:
    lock = threading.Lock()

    def uses_lock() -> bool:
        return lock.locked()

    with pytest.raises(CannotPickle, match="uses_lock"):
        executor.submit(uses_lock)
    with pytest.raises(CannotPickle, match="capture"):
        executor.submit(capture, threading.Lock())
    with pytest.raises(ValueError, match="function"):
        executor.submit("no callable")  # type: ignore[arg-type]
    assert executor.submit(pow, 2, 2).result(20) == 4


# -- exceptions -----------------------------------------------------------------------------------------


def test_an_exception_is_raised_with_the_workers_traceback_as_cause(executor: PlaygroundExecutor) -> None:
    future = executor.submit(boom, "why not")
    with pytest.raises(ZeroDivisionError, match="why not") as caught:
        future.result(20)
    cause = caught.value.__cause__
    assert cause is not None and "boom" in str(cause) and "raise ZeroDivisionError(text)" in str(cause)
    error = future.exception()
    assert type(error) is ZeroDivisionError and error.args == ("why not",)


def test_an_exception_that_cannot_travel_is_told_in_words(executor: PlaygroundExecutor) -> None:
    def odd() -> None:
        class Odd(Exception):
            def __init__(self) -> None:
                super().__init__("odd one")
                self.lock = threading.Lock()

        raise Odd

    with pytest.raises(TaskFailed, match="odd one"):
        executor.submit(odd).result(20)


def test_what_was_loaded_is_kept_once(executor: PlaygroundExecutor) -> None:
    for size in (10, 100_000):
        future: Any = executor.submit(bytes, size)
        assert len(future.result(20)) == size and future.result() is future.result() and future.exception() is None
        assert future._told is None


def test_an_output_that_cannot_be_loaded_here_is_raised_each_time(executor: PlaygroundExecutor) -> None:
    class Spoilt:
        def __reduce__(self) -> Any:
            return int, ("no number",)

    future = executor.submit(Spoilt)
    for _ in range(2):
        with pytest.raises(ValueError, match="no number"):
            future.result(20)
    assert isinstance(future.exception(), ValueError) and future.done()


def test_futures_go_on_after_an_error(executor: PlaygroundExecutor) -> None:
    futures = [executor.submit(boom, str(n)) if n % 2 else executor.submit(pow, n, 2) for n in range(10)]
    assert [type(future.exception(20)).__name__ for future in futures] == ["NoneType", "ZeroDivisionError"] * 5
    assert [future.result() for future in futures[::2]] == [0, 4, 16, 36, 64]


def test_a_worker_that_dies_breaks_its_future_alone() -> None:
    with Playground(max_worker_deaths=1).play(workers=1) as stage:
        dead = stage.executor.submit(os._exit, 7)
        with pytest.raises(WorkerDied, match="exit code 7"):
            dead.result(20)
        assert isinstance(dead.exception(), WorkerDied)
        assert stage.executor.submit(pow, 2, 3).result(20) == 8


# -- map ------------------------------------------------------------------------------------------------


def test_map(executor: PlaygroundExecutor) -> None:
    assert list(executor.map(pow, range(10), range(10))) == list(map(pow, range(10), range(10)))
    assert list(executor.map(pow, range(10), range(10), chunksize=3)) == list(map(pow, range(10), range(10)))
    assert list(executor.map(pow, [2, 3], [1, 2, 3])) == [2, 9]
    assert list(executor.map(pow, [], [])) == []


def test_map_gives_results_in_order_whatever_order_they_come_in(executor: PlaygroundExecutor) -> None:
    assert list(executor.map(sleep_and, [1, 2, 3, 4], [0.2, 0.0, 0.1, 0.0])) == [1, 2, 3, 4]


def test_map_is_eager_and_raises_when_its_turn_comes(executor: PlaygroundExecutor) -> None:
    results = executor.map(divmod, [1, 1, 1, 1], [2, 3, 0, 5])
    assert next(results) == (0, 1) and next(results) == (0, 1)
    with pytest.raises(ZeroDivisionError):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_map_times_out(executor: PlaygroundExecutor) -> None:
    got: list[Any] = []
    with pytest.raises(TimeoutError):
        for value in executor.map(time.sleep, [0, 0, 2.0], timeout=1.0):
            got.append(value)
    assert got == [None, None]


def test_abandoning_map_cancels_the_rest(stage: Playground, tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    results = stage.executor.map(functools.partial(hold, seconds=0.1), [mark] * 40)
    assert next(results) == "held"
    results.close()  # type: ignore[attr-defined]
    until(lambda: stage.task_manager.overview()["open"] == 0, "the end of what had begun")
    assert len(Path(mark).read_text().splitlines()) < 40


def test_map_submits_no_further_ahead_than_it_is_told(executor: PlaygroundExecutor) -> None:
    given: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(20):
            given.append(number)
            yield number

    results: Iterator[int] = executor.map(abs, numbers(), buffersize=3)
    assert len(given) == 3
    assert next(results) == 0 and len(given) == 4
    assert list(results) == list(range(1, 20))


def test_map_holds_no_result_that_it_has_given(executor: PlaygroundExecutor) -> None:
    results = executor.map(Adder, range(2))
    first = weakref.ref(next(results))
    gc.collect()
    assert first() is None and next(results).base == 1


def test_abandoning_map_asks_the_manager_once(stage: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    link = stage._the_link()
    asked: list[str] = []
    ask = link.ask

    def noted(what: str, arguments: dict[str, Any]) -> Any:
        asked.append(what)
        return ask(what, arguments)

    monkeypatch.setattr(link, "ask", noted)
    results = stage.executor.map(time.sleep, [0.0] + [0.1] * 200)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert asked == ["cancel"]
    until(lambda: stage.task_manager.overview()["open"] == 0, "the end of what had begun")


# -- waiting --------------------------------------------------------------------------------------------


def test_wait_for_the_first(executor: PlaygroundExecutor) -> None:
    slow, quick = executor.submit(sleep_and, 1, 0.6), executor.submit(pow, 2, 2)
    done, left = concurrent.futures.wait([slow, quick], 20, FIRST_COMPLETED)
    assert done == {quick} and left == {slow}
    assert concurrent.futures.wait([slow, quick], 0.01, ALL_COMPLETED).not_done == {slow}
    assert concurrent.futures.wait([slow, quick], 20, ALL_COMPLETED).not_done == set()


def test_wait_for_the_first_exception(executor: PlaygroundExecutor) -> None:
    slow, bad = executor.submit(sleep_and, 1, 0.6), executor.submit(boom, "x")
    done, left = concurrent.futures.wait([slow, bad], 20, FIRST_EXCEPTION)
    assert done == {bad} and left == {slow}
    assert slow.result(20) == 1


def test_as_completed(executor: PlaygroundExecutor) -> None:
    futures = [executor.submit(sleep_and, n, 0.05 * n) for n in range(4)]
    assert set(concurrent.futures.as_completed(futures, 20)) == set(futures)
    duplicate = executor.submit(sleep_and, 1, 0.05)
    assert [future.result() for future in concurrent.futures.as_completed([duplicate, duplicate], 20)] == [1]
    late = executor.submit(sleep_and, 1, 0.5)
    with pytest.raises(TimeoutError):
        list(concurrent.futures.as_completed([late], 0.05))
    late.result(20)


def test_result_times_out(executor: PlaygroundExecutor) -> None:
    future = executor.submit(sleep_and, 3, 0.4)
    with pytest.raises(TimeoutError):
        future.result(0.01)
    with pytest.raises(TimeoutError):
        future.exception(0.01)
    assert future.result(20) == 3


# -- callbacks and cancelling ---------------------------------------------------------------------------


def test_callbacks_get_the_future_once_and_in_order(executor: PlaygroundExecutor, caplog: pytest.LogCaptureFixture) -> None:
    called: list[tuple[str, Any]] = []
    future = executor.submit(sleep_and, 5, 0.4)
    future.add_done_callback(lambda done: called.append(("first", done.result())))

    def broken(done: Future[Any]) -> None:
        called.append(("broken", None))
        raise RuntimeError("in a callback")

    future.add_done_callback(broken)
    future.add_done_callback(lambda done: called.append(("last", done)))
    assert future.result(20) == 5
    until(lambda: len(called) == 3, "the callbacks")
    assert called == [("first", 5), ("broken", None), ("last", future)]
    assert "in a callback" in caplog.text
    future.add_done_callback(lambda done: called.append(("late", None)))
    assert called[-1] == ("late", None)


def test_cancelling_what_waits_and_what_has_ended(tmp_path: Path) -> None:
    mark, end = str(tmp_path / "mark"), tmp_path / "end"
    with Playground().play(workers=1) as stage:
        running = stage.executor.submit(hold_until, mark, end)
        begun(mark)
        waiting = stage.executor.submit(hold, mark)
        called: list[Future[Any]] = []
        waiting.add_done_callback(called.append)
        assert waiting.cancel() is True and waiting.cancelled() and waiting.done() and not waiting.running()
        with pytest.raises(CancelledError):
            waiting.result(5)
        with pytest.raises(CancelledError):
            waiting.exception(5)
        until(lambda: called == [waiting], "the callback")
        end.touch()
        assert running.result(20) == "held"
        assert running.cancel() is False and not running.cancelled()


# -- shutdown -------------------------------------------------------------------------------------------


def test_shutdown_waits_and_leaves_the_stage_alive(stage: Playground) -> None:
    executor = stage.executor
    assert stage.executor is executor
    future = executor.submit(sleep_and, 1, 0.2)
    executor.shutdown()
    assert future.done() and future.result() == 1
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(pow, 2, 2)
    with pytest.raises(RuntimeError):
        executor.map(pow, [1], [1])
    executor.shutdown()
    assert stage.executor is not executor and stage.executor.submit(pow, 2, 2).result(20) == 4


def test_shutdown_without_waiting(stage: Playground, tmp_path: Path) -> None:
    executor = stage.executor
    future = executor.submit(hold_until, str(tmp_path / "mark"), tmp_path / "end")
    executor.shutdown(wait=False)
    assert not future.done()
    (tmp_path / "end").touch()
    assert future.result(20) == "held"


def test_shutdown_that_cancels(tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    with Playground().play(workers=1) as stage:
        futures = [stage.executor.submit(hold, mark, seconds) for seconds in (1.0, *[0.2] * 19)]
        begun(mark)
        stage.executor.shutdown(wait=True, cancel_futures=True)
        assert all(future.done() for future in futures)
        assert futures[0].result() == "held" and futures[-1].cancelled()
        assert sum(future.cancelled() for future in futures) >= 18
        until(lambda: stage.task_manager.overview()["open"] == 0, "the end")
        assert len(Path(mark).read_text().splitlines()) <= 2


def test_as_a_context_manager(stage: Playground) -> None:
    with stage.executor as executor:
        future = executor.submit(sleep_and, 2, 0.1)
    assert future.done() and future.result() == 2
    with pytest.raises(RuntimeError):
        executor.submit(pow, 1, 1)
    assert stage.executor.submit(pow, 2, 2).result(20) == 4


def test_after_the_block_it_takes_nothing() -> None:
    with Playground().play(workers=1) as stage:
        executor = stage.executor
        future = executor.submit(pow, 2, 2)
    assert future.result() == 4
    with pytest.raises(RuntimeError, match="ended"):
        executor.submit(pow, 2, 2)


# -- with others ----------------------------------------------------------------------------------------


def test_run_in_executor_and_wrap_future(executor: PlaygroundExecutor) -> None:
    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        values: list[Any] = await asyncio.gather(*[loop.run_in_executor(executor, pow, 2, n) for n in range(5)])
        values.append(await asyncio.wrap_future(executor.submit(pow, 3, 3)))
        future: Any = executor.submit(pow, 4, 2)
        values.append(await future)
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(executor, boom, "awaited")
        bad: Any = executor.submit(boom, "awaited")
        with pytest.raises(ZeroDivisionError):
            await bad
        return values

    assert asyncio.run(main()) == [1, 2, 4, 8, 16, 27, 16]


def test_many_futures_from_many_threads(executor: PlaygroundExecutor) -> None:
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        sums = list(threads.map(lambda start: sum(executor.map(operator.neg, range(start, start + 250))), range(4)))
    assert sums == [-sum(range(start, start + 250)) for start in range(4)]


def test_results_and_arguments_are_let_go(executor: PlaygroundExecutor) -> None:
    class Big:
        pass

    big = Big()
    gone = weakref.ref(big)
    future = executor.submit(isinstance, big, object)
    assert future.result(20) is True
    del big
    until(lambda: gone() is None, "letting the argument go", 5)


def test_plain_tasks_give_handles_not_raw_outputs(stage: Playground) -> None:
    from callboard import task

    @task
    def f() -> int:
        return 1

    handle = stage.submit(f.task())
    assert type(handle) is TaskHandle and handle.result(20).output == 1
