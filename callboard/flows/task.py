"""The one Task: what a person declares, for a worker's processor, for a flow, or with code of its own."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from callboard.flows.binding import Binding, bind, extract, places
from callboard.flows.declared import Declared
from callboard.flows.hook import Hooks, between
from callboard.flows.interpretation import finish, interpret, interpret_later
from callboard.flows.signature import Signature, signature_of
from callboard.flows.spec import intern_spec
from callboard.flows.state import WORDS
from callboard.messages.awaiting import is_awaitable
from callboard.messages.code import Code, capture
from callboard.messages.context import current
from callboard.messages.errors import InvalidTask
from callboard.messages.outcome import Outcome
from callboard.messages.payload import Payload, dumps
from callboard.messages.result import TaskResult
from callboard.messages.shared import shared_in
from callboard.messages.status import TaskStatus
from callboard.messages.task import Submission, Term, WorkKind, fresh_id

if TYPE_CHECKING:
    from callboard.messages.spec import TaskSpec

_LEFT_BEHIND = frozenset({"_sent_as", "_sent_in", "dependencies", "_sources", "retry_policy", "breaker", "fallback", "idempotency_key"})
"""What an instance does not take along to a worker: it has gone into the submission, or means nothing there."""


class _Attempt:
    """The number of the running attempt, from 1; a plain attribute of the same name hides it."""

    def __get__(self, task: Task | None, owner: type[Task] | None = None) -> Any:
        if task is None:
            return self
        work = current.get()
        return 1 if work is None else work.attempt


class _Cancelled:
    """Whether somebody asked the running attempt to stop; a plain attribute of the same name hides it."""

    def __get__(self, task: Task | None, owner: type[Task] | None = None) -> Any:
        if task is None:
            return self
        work = current.get()
        return work is not None and work.cancelled


class Task(Hooks, Declared):
    """A piece of work, declared once and submitted as often as wanted; submitting never changes it.

    With a ``processor`` it goes to the workers of that role. A subclass with ``execute`` carries its own code: its
    inputs are found by the names in the signature, and ``revert`` undoes it. ``requires``, ``rebind``, ``provides`` and
    ``inject`` say under which stored names inputs and results are found. Each keyword but ``dependencies`` and ``id``
    may also be given by a class, as an attribute of its name or of that name after ``default_``; left out, the class's
    value holds. ``timeout`` (seconds) bounds one attempt, ``expires_in`` (seconds) the time during which no capable
    worker is there. ``dependencies`` are ids or Tasks. `InvalidTask` says at once what cannot work.
    """

    carries_code: ClassVar[bool] = False
    attempt: Any = _Attempt()
    cancelled: Any = _Cancelled()

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls.carries_code = cls.execute is not Task.execute

    # -- to override -------------------------------------------------------------------------

    def execute(self, *args: Any, **inputs: Any) -> Any:
        """Do the work; override it, plain or async, with the inputs as arguments by name. A plain return value completes."""
        raise NotImplementedError(f"task {self.name!r} has no execute() of its own")

    def revert(self, *args: Any, **inputs: Any) -> Any:
        """Undo the work. May take ``result`` (the output, or the `Failure`), ``flow_failures``, and inputs by name."""

    # -- for the code in execute ----------------------------------------------------------------

    def complete(self, result: Any = None) -> TaskResult:
        """Make the result of a success, to be returned from ``execute``."""
        return TaskResult(self.id, self.name, TaskStatus.COMPLETED, output=result, attempts=self.attempt)

    def fail(self, reason: str, output: Any = None) -> TaskResult:
        """Make the result of a failure, to be returned from ``execute``; nothing is raised."""
        return TaskResult(self.id, self.name, TaskStatus.FAILED, output=output, error=str(reason), attempts=self.attempt)

    def update_progress(self, fraction: float, text: str = "") -> None:
        """Tell listeners how far the work is; outside of 0 to 1 it is brought inside, with a warning."""
        if not 0.0 <= fraction <= 1.0:
            warnings.warn(f"progress {fraction!r} of task {self.name!r} is outside of 0 to 1", stacklevel=2)
            fraction = min(max(fraction, 0.0), 1.0)
        work = current.get()
        if work is not None:
            work.progress(fraction, text)

    def notify(self, topic: str, **data: Any) -> None:
        """Publish an event of your own to those who listen to the run. A state's name, and ``progress``, is no topic for it."""
        if topic in WORDS:
            raise InvalidTask(
                f"{topic!r} is what listeners are told of a task's state or progress; {self._label()} has to call its event otherwise"
            )
        work = current.get()
        if work is not None:
            work.emit(topic, **data)

    # -- running it ---------------------------------------------------------------------------

    def run(self, **inputs: Any) -> TaskResult:
        """Call ``execute`` here and now, once, without retries or listeners; what it raises is the result's failure."""
        try:
            outcome = self.perform(inputs)
            if isinstance(outcome, Awaitable):
                outcome = finish(outcome)
        except Exception as error:  # the user's code
            from callboard.messages.failure import Failure

            failure = Failure.of(error)
            return TaskResult(self.id, self.name, TaskStatus.FAILED, error=str(failure), failure=failure, attempts=1)
        status = TaskStatus.COMPLETED if outcome.success else TaskStatus.FAILED
        return TaskResult(self.id, self.name, status, outcome.output, outcome.error, attempts=1)

    def perform(self, inputs: Mapping[str, Any], dependencies: Mapping[str, TaskResult] | None = None) -> Outcome | Awaitable[Outcome]:
        """Call ``execute`` with ``inputs`` (by argument) and say what came of it; what it raises passes through.

        Required arguments that ``inputs`` lacks are looked for in the outputs of ``dependencies``, by what those tasks
        provide. An async ``execute`` gives an awaitable of the Outcome.
        """
        arguments = dict(inputs)
        if dependencies:
            self._take_outputs(arguments, dependencies)
        if self.hooked:
            value = between(self.pre_execute, partial(self.execute, **arguments), self.post_execute)
        else:
            value = self.execute(**arguments)
        if is_awaitable(value):
            return interpret_later(value)
        return interpret(value)

    def undo(self, arguments: Mapping[str, Any]) -> Any:
        """Call ``revert``; an async one gives an awaitable. What it raises passes through."""
        if self.hooked:
            return between(self.pre_revert, partial(self.revert, **arguments), self.post_revert)
        return self.revert(**arguments)

    def _take_outputs(self, arguments: dict[str, Any], dependencies: Mapping[str, TaskResult]) -> None:
        binding = self.binding()
        wanted = {name: argument for argument, name in {**binding.optional, **binding.required}.items() if argument not in arguments}
        for task_id, provides in self.__dict__.get("_provided", {}).items():
            result = dependencies.get(task_id)
            if result is None:
                continue
            where = places(provides)
            if not result.success:  # it completed, and what it gave cannot be loaded here
                if any(name in wanted for name, _ in where):
                    raise result.as_error()
                continue
            for name, value in extract(result.output, where, f"task {result.name!r}").items():
                if name in wanted:
                    arguments[wanted[name]] = value
        if "dependency_data" in wanted:
            arguments["dependency_data"] = dependencies

    # -- what travels ---------------------------------------------------------------------------

    def submission(self) -> Submission:
        """What travels of this task: the first time under its ``id``, then under fresh ones (a given id stays)."""
        fresh = fresh_id()
        fields = self.__dict__
        # setdefault is atomic: of two threads that submit one object, one alone gets the object's own id.
        if fields.setdefault("_sent_as", fresh) is fresh:
            return self._first(fields.setdefault("id", fresh))
        return self._submission_as(str(self.id) if self._given_id else fresh)

    def first_submission(self) -> Submission | None:
        """The same, but None when the task was submitted before: what names it as a dependency need not do it again, unless the
        playground that knew it has ended."""
        fields = self.__dict__
        if "_sent_as" in fields:
            term: Term | None = fields.get("_sent_in")
            if term is None or not term.over or fields.pop("_sent_in", None) is not term:
                return None
        else:
            first = fresh_id()
            if fields.setdefault("_sent_as", first) is not first:
                return None  # another thread has
        return self._first(str(self.id))

    def _first(self, task_id: str) -> Submission:
        try:
            made = self._submission_as(task_id)
        except BaseException:
            self.note_withdrawn()
            raise
        made.origin = self
        return made

    def note_sent(self, term: Term) -> None:
        """It has been sent under its own id, by the client of this term."""
        self.__dict__.setdefault("_sent_in", term)

    def was_sent_in(self, term: Term) -> bool:
        """Whether that client has sent it."""
        return self.__dict__.get("_sent_in") is term

    def note_withdrawn(self) -> None:
        """It was not sent, after all."""
        self.__dict__.pop("_sent_as", None)

    def _submission_as(self, task_id: str) -> Submission:
        code = None
        if self.carries_code:
            code = capture(type(self), self._label())
            payload = dumps((self.state(), self._own_inputs(), self.metadata or {}), f"the input of {self._label()}")
        else:
            payload = dumps((self.input_data or {}, self.metadata or {}), f"the input of task {self.name!r}")
        shares = shared_in(self.input_data.values()) if self.input_data else ()
        return self._submission(task_id, self.spec(code), payload, code, shares)

    def submission_with(self, arguments: Mapping[str, Any]) -> Submission:
        """What travels when a flow has found the ``arguments``: under a fresh id, waiting for nobody.

        Idempotency and the fallback are seen to by the flow's executor, which knows the arguments.
        """
        code, payload, shares = self._with_arguments(arguments)
        return Submission(fresh_id(), self.name, self.spec(code), payload, code=code, shares=shares)

    def _with_arguments(self, arguments: Mapping[str, Any]) -> tuple[Code | None, Payload, tuple[str, ...]]:
        what = f"the input of {self._label()}"
        inputs = dict(arguments) if self.carries_code else {**(self.input_data or {}), **arguments}
        shares = shared_in(inputs.values())
        if not self.carries_code:
            return None, dumps((inputs, self.metadata or {}), what), shares
        return capture(type(self), self._label()), dumps((self.state(), inputs, self.metadata or {}), what), shares

    def spec(self, code: Code | None = None) -> TaskSpec:
        """What all submissions of such a task share; equal declarations give the same object."""
        if self.carries_code and code is None:
            code = capture(type(self), self._label())
        return intern_spec(
            self.name,
            WorkKind.PROCESS if code is None else WorkKind.CARRIED,
            self.processor,
            self.skills,
            self.priority,
            self.timeout,
            self.expires_in,
            self.retry_policy,
            self.breaker,
            self.idempotent,
            self.version,
            None if code is None else code.digest,
            None if code is None else type(self).__qualname__,
        )

    def state(self) -> dict[str, Any]:
        """The attributes that a worker needs to rebuild this instance."""
        state = {key: value for key, value in self.__dict__.items() if key not in _LEFT_BEHIND}
        if self._sources:
            state["_provided"] = {source.id: source.provides for source in self._sources}
        return state

    @property
    def reverts(self) -> bool:
        """Whether there is something that undoes the work."""
        return type(self).revert is not Task.revert

    def signature(self) -> Signature:
        """The arguments of ``execute``."""
        return signature_of(type(self).execute, method=True)

    def revert_signature(self) -> Signature:
        """The arguments of ``revert``."""
        return signature_of(type(self).revert, method=True)

    def binding(self) -> Binding:
        """Under which stored names the arguments of ``execute`` are looked up."""
        return bind(self.signature(), self.requires, self.rebind, self.inject, self._label())

    # -- inside ----------------------------------------------------------------------------------

    def _submission(self, task_id: str, spec: TaskSpec, payload: Any, code: Code | None, shares: tuple[str, ...]) -> Submission:
        fallback = self.fallback
        if isinstance(fallback, Task):
            fallback = fallback.submission()
        elif fallback is not None:
            fallback = dumps(fallback, f"the fallback of {self._label()}")
        return Submission(
            task_id,
            self.name,
            spec,
            payload,
            self.dependencies,
            code,
            self.idempotency_key,
            fallback,
            self._given_id,
            shares,
            self._sources,
        )

    def _own_inputs(self) -> dict[str, Any]:
        arguments, missing = self.binding().pick(self.input_data or {})
        if self.signature().open:
            taken = set(self.binding().required.values()) | set(self.binding().optional.values())
            arguments.update({name: value for name, value in (self.input_data or {}).items() if name not in taken})
        if missing and not self.dependencies:
            needed = ", ".join(map(repr, missing))
            raise InvalidTask(f"{self._label()} needs {needed}; give it in input_data, or by a dependency that provides it")
        return arguments
