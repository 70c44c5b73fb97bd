"""Atoms on a playground's workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, Protocol

from callboard.engines.crew import Crew
from callboard.engines.executor import Executor
from callboard.engines.job import Ending, Job
from callboard.engines.run import FlowRun
from callboard.flows.plan import Plan
from callboard.flows.state import WORDS
from callboard.flows.undo import Undo
from callboard.messages.errors import InvalidSetting, PlaygroundClosed
from callboard.messages.event import Event
from callboard.messages.outcome import Outcome
from callboard.messages.result import TaskResult
from callboard.messages.task import Submission, Submittable

FINAL = ("task.completed", "task.failed", "task.cancelled", "task.skipped")
PATIENCE = 2.0
"""For how many seconds the last event of an atom is waited for whose result is there; one can be lost on the way."""


class Stage(Protocol):
    """What is needed of a playground, or of a client that is connected to one."""

    def submit(self, task: Submittable) -> Future[TaskResult]:
        """Hand in a task; the future's result never raises for a task that failed."""
        ...

    def on(self, topic: str, handler: Any) -> Any:
        """Listen to events; gives what can be cancelled."""
        ...


class DistributedExecutor(Executor):
    """Runs atoms on the workers of ``stage``: those with ``skills`` or a ``processor`` on who can do it, plain ones on
    plain workers.

    Retry policies, time limits and circuit breakers are seen to by the playground, as is a worker that dies.
    An atom that nobody can do ends by `NoCapableWorker`, once its ``expires_in`` is over or the playground says so.
    Controllers, deciders and conditions run in the calling thread. As many atoms are handed in at once as are ready, or
    ``max_submitted``; what is handed in counts as running, so that a run that is suspended waits for it.

    Where the playground ends before a run does, that ends by `PlaygroundClosed`, as a crash would end it: nothing is
    taken for a failure of its atoms, and with a ``state`` it can be resumed on another.
    """

    def __init__(self, stage: Stage, *, max_submitted: int = 10_000, **options: Any) -> None:
        super().__init__(**options)
        if not callable(getattr(stage, "submit", None)):
            raise InvalidSetting(f"stage must be a playground or a client of one, not {stage!r}")
        if isinstance(max_submitted, bool) or not isinstance(max_submitted, int) or max_submitted < 1:
            raise InvalidSetting(f"max_submitted must be a whole number from 1, not {max_submitted!r}")
        self.stage = stage
        self.max_submitted = max_submitted

    def crew(self, run: FlowRun) -> Crew:
        """The playground's workers."""
        return _Workers(run, self.stage, self.max_submitted)

    def check(self, plan: Plan) -> None:
        """Nothing to refuse: whoever can do an atom may come yet."""


class _Bound:
    """An atom with the inputs that its flow found, as ``submit`` takes it."""

    def __init__(self, job: Job) -> None:
        self._made = Undo(job.task, job.arguments).submission() if job.undo else job.task.submission_with(job.arguments)
        self._made.name = job.name
        self.task_id = self._made.task_id

    def submission(self) -> Submission:
        return self._made


class _Workers:
    judges = True

    def __init__(self, run: FlowRun, stage: Stage, size: int) -> None:
        self._run = run
        self._stage = stage
        self._size = size
        self._handles: dict[Job, Future[TaskResult]] = {}
        self._by_id: dict[str, Job] = {}
        self._endings: dict[Job, Ending] = {}
        self._last_words: set[Job] = set()
        self._listening: Any = None

    def room(self) -> int:
        return self._size - len(self._run.jobs)

    def start(self, job: Job) -> None:
        if self._run.listened and self._listening is None:
            self._listening = self._stage.on("*", self._heard)
        try:
            bound = _Bound(job)
            self._by_id[bound.task_id] = job
            handle = self._stage.submit(bound)
        except PlaygroundClosed:
            raise
        except Exception as error:  # what cannot be pickled, or finds no room
            self._run.take(job, Ending(None, error, begun=False))
            return
        self._handles[job] = handle
        handle.add_done_callback(partial(self._done, job))

    def drop(self, job: Job) -> None:
        handle = self._handles.pop(job, None)
        if handle is not None:
            handle.cancel()

    def close(self, left: Iterable[Job]) -> None:
        for job in left:
            self.drop(job)
        if self._listening is not None:
            self._listening.cancel()

    def _done(self, job: Job, handle: Future[TaskResult]) -> None:
        self._run.post(partial(self._take, job, handle))

    def _take(self, job: Job, handle: Future[TaskResult]) -> None:
        """Events come another way than results: an atom has ended when all that it said was heard."""
        self._handles.pop(job, None)
        result = handle.result()
        if result.worker is None and result.failure is not None and result.failure.check(PlaygroundClosed):
            raise PlaygroundClosed(f"{result.error}, while task {job.name!r} was with it")
        self._endings[job] = ending_of(result)
        if self._listening is None or job in self._last_words:
            self._settle(job)
        else:
            self._run.alarms.after(PATIENCE, partial(self._settle, job))

    def _settle(self, job: Job) -> None:
        ending = self._endings.pop(job, None)
        if ending is not None:
            self._run.take(job, ending)

    def _heard(self, event: Event) -> None:
        job = self._by_id.get(event.task_id or "")
        if job is None:
            return
        if event.topic in FINAL:
            self._run.post(partial(self._end_of_words, job, event.task_id or ""))
        else:
            _tell(self._run, job, event.topic, event.data)

    def _end_of_words(self, job: Job, task_id: str) -> None:
        self._by_id.pop(task_id, None)
        self._last_words.add(job)
        if job in self._endings:
            self._settle(job)


def _tell(run: FlowRun, job: Job, topic: str, data: Mapping[str, Any]) -> None:
    if topic == "task.progress":
        run.tell(job, "progress", {"progress": data.get("fraction", 0.0), "text": data.get("text", "")})
    elif topic not in WORDS and not topic.startswith(("task.", "worker.")):
        run.tell(job, topic, data)


def ending_of(result: TaskResult) -> Ending:
    """What a task's result means for its atom."""
    if result.success:
        return Ending(Outcome(True, result.output))
    if result.failure is None and result.error is not None and result.status.value == "failed":
        return Ending(Outcome(False, result.output, result.error))
    error = result.failure.exception() if result.failure is not None else None
    return Ending(None, error or result.as_error(), result.failure, begun=result.attempts > 0)
