"""Running the user's code for one attempt, and turning whatever comes of it into an ending."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from callboard.actors.announcement import announcement
from callboard.actors.attempt import Attempt, Finished, Said
from callboard.actors.client import Client
from callboard.actors.crew import Crew
from callboard.actors.processor import handle
from callboard.actors.request import ProcessRequest
from callboard.messages.argument import replaced
from callboard.messages.awaiting import is_awaitable
from callboard.messages.code import restore
from callboard.messages.codec import load, pack
from callboard.messages.context import current
from callboard.messages.errors import TaskFailed
from callboard.messages.failure import MAX_TEXT, Failure, shortened
from callboard.messages.limit import MAX_PAYLOAD
from callboard.messages.outcome import Outcome
from callboard.messages.payload import dumps, loads
from callboard.messages.result import TaskResult
from callboard.messages.spec import TaskSpec
from callboard.messages.task import WorkKind
from callboard.messages.wire import Ending

if TYPE_CHECKING:
    from callboard.actors.worker import ProcessWorker


class Noting(Protocol):
    """Where a slot notes what it runs."""

    def begin(self, seat: int, task_id: str) -> None: ...

    def end(self, seat: int) -> None: ...


class Execution:
    """Runs attempts in the threads of a `Crew`. ``post`` takes what ended and what is said, in any thread."""

    def __init__(self, worker: ProcessWorker, client: Client, post: Callable[[Any], object], note: Noting) -> None:
        self._worker = worker
        self._client = client
        self._post = post
        self.note = note
        self._policies: dict[bytes, Any] = {}
        self.codes: dict[str, bytes] = {}
        self.heard: frozenset[str] = frozenset()
        """Which of task.started and task.progress anybody listens to."""
        self.max_payload = MAX_PAYLOAD
        self.crew = Crew(self.run, worker.slots)
        self._process = os.getpid()

    def say(self, attempt: Attempt, topic: str, data: dict[str, Any]) -> None:
        """Publish something that an attempt says, if it is heard."""
        if topic.startswith("task.") and topic not in self.heard:
            return
        self._post(Said(announcement(topic, data, time.time(), self.max_payload, attempt.task_id)))

    def run(self, attempt: Attempt, seat: int) -> None:
        """Carry out one attempt and post how it ended. Runs in a slot's thread; raises nothing."""
        if attempt.abandoned:
            return
        if attempt.halted:
            self._post(Finished(attempt, Ending.CANCELLED, 0))
            return
        attempt.started = time.monotonic()
        attempt.seat = seat
        self.note.begin(seat, attempt.task_id)
        if "task.started" in self.heard:
            self.say(attempt, "task.started", {"attempt": attempt.number})
        request = ProcessRequest(attempt, self.say, self._client)
        current.set(request)
        begun = time.perf_counter_ns()
        try:
            success, output, error = self._perform(attempt, request)
            self._end_if_forked(0)
            packed = pack(dumps(output, "the output"), self.max_payload, "the output")
            micros = (time.perf_counter_ns() - begun) // 1000
            if success:
                finished = Finished(attempt, Ending.COMPLETED, micros, packed)
            else:
                error = shortened(error or f"worker {self._worker.name!r} answered that it did not succeed", MAX_TEXT)
                finished = Finished(attempt, Ending.FAILED, micros, packed, error, None, self._again(attempt, None))
        except BaseException as problem:  # the user's code; SystemExit and the like must not end a slot either
            self._end_if_forked(1)
            finished = self._failed(attempt, problem, (time.perf_counter_ns() - begun) // 1000)
        self.note.end(seat)
        attempt.payload = None
        if not attempt.abandoned:
            self._post(finished)

    def _end_if_forked(self, code: int) -> None:
        """A child that the user's code has forked, and that came back from it, is no worker: it ends here."""
        if os.getpid() != self._process:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)

    def _perform(self, attempt: Attempt, request: ProcessRequest) -> tuple[bool, Any, str | None]:
        spec = attempt.spec
        assert attempt.payload is not None
        if spec.kind is WorkKind.CALL:
            function = self._code(spec)
            args, kwargs, metadata, gaps = load(attempt.payload)
            request.fill({}, metadata)
            if gaps:
                results = request.dependency_data
                args, kwargs = replaced(args, kwargs, [(place, results[task_id].unwrap()) for place, task_id in gaps])
            value = function(*args, **kwargs)
        elif spec.kind is WorkKind.CARRIED:
            kind = self._code(spec)
            state, inputs, metadata = load(attempt.payload)
            request.fill(inputs, metadata)
            task = kind.__new__(kind)
            task.__dict__.update(state)
            value = task.perform(inputs, request.dependency_data)
        else:
            inputs, metadata = load(attempt.payload)
            request.fill(inputs, metadata)
            value = handle(self._worker, request, attempt.submitted)
        if is_awaitable(value):
            value = self.crew.wait_for(self._awaited(value), attempt)
        kind = type(value)
        if kind is TaskResult:
            return value.success, value.output, value.error
        return value if kind is Outcome else (True, value, None)

    async def _awaited(self, value: Any) -> Any:
        try:
            return await value
        finally:
            self._end_if_forked(0)

    def _code(self, spec: TaskSpec) -> Any:
        assert spec.code is not None
        try:
            return restore(spec.code, self.codes[spec.code])
        except Exception as error:  # whatever the user's modules raise when they are imported here
            raise TaskFailed(f"the code of {spec.label or 'the task'} cannot be loaded on worker {self._worker.name!r}: {error}") from error

    def _failed(self, attempt: Attempt, problem: BaseException, micros: int) -> Finished:
        stopped = isinstance(problem, asyncio.CancelledError | concurrent.futures.CancelledError)
        if stopped and attempt.halted:
            return Finished(attempt, Ending.CANCELLED, micros)
        problem.__traceback__ = _from_user_code(problem.__traceback__)
        failure = Failure.of(problem)
        return Finished(attempt, Ending.FAILED, micros, b"", str(failure), failure, self._again(attempt, problem))

    def _again(self, attempt: Attempt, problem: BaseException | None) -> float | None:
        """Seconds until the next attempt, as the task's policy says; it is asked here, where the exception is."""
        pickled = attempt.spec.policy
        if pickled is None:
            return None
        from callboard.resilience.judgement import judged  # late: most tasks have no policy

        try:
            policy = self._policies.get(pickled)
            if policy is None:
                policy = self._policies[pickled] = loads(pickled)
        except Exception:  # the classes of a policy of the user's, which is not to be found here
            return None
        begun = attempt.first_began or attempt.started
        return judged(policy, problem, attempt.earlier_failures + 1, 0.0 if begun is None else time.monotonic() - begun)


def _from_user_code(traceback: TracebackType | None) -> TracebackType | None:
    # Our own frames at the top say nothing to the reader.
    while traceback is not None and traceback.tb_next is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    return traceback
