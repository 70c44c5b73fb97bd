"""Functions as tasks: ``@task`` and the quick way from a call to what travels of it."""

from __future__ import annotations

import copy
import pickle
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast, overload

from callboard.flows.declaration import Names, Skills
from callboard.flows.signature import Signature, signature_of
from callboard.flows.spec import intern_spec
from callboard.flows.task import Task
from callboard.messages.argument import Place, places, replaced
from callboard.messages.code import Code, capture, lasts
from callboard.messages.errors import InvalidTask
from callboard.messages.payload import Payload, dumps, is_plain
from callboard.messages.shared import shared_in
from callboard.messages.task import Submission, WorkKind, fresh_id

if TYPE_CHECKING:
    from callboard.messages.spec import TaskSpec

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class FunctionTask(Task):
    """A function as a task. ``args`` and ``kwargs`` are given now; in a flow the other arguments are found by name.

    Tasks among the arguments, or directly in a list, tuple or dict that is one of them, become dependencies and arrive as
    their outputs. ``revert`` is a function that undoes.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *args: Any,
        kwargs: Mapping[str, Any] | None = None,
        revert: Callable[..., Any] | None = None,
        name: str | None = None,
        dependencies: Iterable[str | Task] = (),
        **declared: Any,
    ) -> None:
        if not callable(function):
            raise InvalidTask(f"a FunctionTask needs a function, not {function!r}")
        if revert is not None and not callable(revert):
            raise InvalidTask(f"the revert of a FunctionTask is a function, not {revert!r}")
        self.function = function
        self.args = args
        self.kwargs = dict(kwargs or {})
        self.revert_function = revert
        given = [task for _, task in places(args, self.kwargs, Task)]
        super().__init__(name or _name_of(function), dependencies=[*dependencies, *given], **declared)

    def execute(self, *args: Any, **inputs: Any) -> Any:
        """Call the function with what was given and what was found."""
        return self.function(*self.args, **self.kwargs, **inputs)

    def revert(self, *args: Any, **inputs: Any) -> Any:
        """Call the function that undoes, with those of ``inputs`` that it takes."""
        if self.revert_function is not None:
            return self.revert_function(**inputs)
        return None

    def with_outputs(self, outputs: Mapping[str, Any]) -> FunctionTask:
        """A copy in which the Tasks among the arguments are replaced by their outputs, given by id."""
        made = copy.copy(self)
        instead = [(place, outputs[task.id]) for place, task in places(self.args, self.kwargs, Task)]
        made.args, made.kwargs = replaced(self.args, self.kwargs, instead)
        return made

    @property
    def reverts(self) -> bool:
        """Whether there is something that undoes."""
        return self.revert_function is not None

    def signature(self) -> Signature:
        """The arguments of the function that were not given yet."""
        whole = signature_of(self.function)
        given = set(whole.names[: max(len(self.args) - whole.positional, 0)]) | set(self.kwargs)
        left = [tuple(name for name in names if name not in given) for names in (whole.required, whole.optional)]
        return Signature(left[0], left[1], whole.open, whole.nameless[len(self.args) :])

    def revert_signature(self) -> Signature:
        """The arguments of the function that undoes."""
        return Signature((), (), False) if self.revert_function is None else signature_of(self.revert_function)

    def __setattr__(self, name: str, value: Any) -> None:
        # What is declared anew shares no longer what the others of its maker do.
        self.__dict__.pop("_made_by", None)
        super().__setattr__(name, value)

    def _submission_as(self, task_id: str) -> Submission:
        fields = self.__dict__
        maker: Maker | None = fields.get("_made_by")
        if maker is not None:
            return (maker.captured or maker.capture()).submission(task_id, fields["args"], fields["kwargs"])
        code = capture(self.function, self._label())
        kwargs = self.kwargs
        if self.input_data:
            kwargs = {**self._own_inputs(), **kwargs}
        shares = shared_in((*self.args, *kwargs.values()))
        args, kwargs, gaps, _ = _without_tasks(self.args, kwargs)
        payload = dumps((args, kwargs, self.metadata or {}, gaps), f"an argument of {self._label()}")
        return self._submission(task_id, self.spec(code), payload, code, shares)

    def _with_arguments(self, arguments: Mapping[str, Any]) -> tuple[Code | None, Payload, tuple[str, ...]]:
        kwargs = {**self.kwargs, **arguments}
        payload = dumps((self.args, kwargs, self.metadata or {}, ()), f"an argument of {self._label()}")
        return capture(self.function, self._label()), payload, shared_in((*self.args, *kwargs.values()))

    def spec(self, code: Code | None = None) -> TaskSpec:
        """What all calls of the function, declared like this, share."""
        if code is None:
            code = capture(self.function, self._label())
        return intern_spec(
            self.name,
            WorkKind.CALL,
            self.processor,
            self.skills,
            self.priority,
            self.timeout,
            self.expires_in,
            self.retry_policy,
            self.breaker,
            self.idempotent,
            self.version,
            code.digest,
            _name_of(self.function),
        )


class TaskFunction(Protocol[P, R_co]):
    """A decorated function: callable as before, and ``task(*args, **kwargs)`` makes a Task of a call."""

    task: Maker

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function here and now."""
        ...


class Maker:
    """Makes Tasks of one function's calls, all declared alike."""

    def __init__(self, function: Callable[..., Any], declared: Mapping[str, Any]) -> None:
        self.function = function
        self.declared = dict(declared)
        self.pattern = FunctionTask(function, **self.declared)  # says at once what cannot work
        self._fields = dict(vars(self.pattern))
        if not self._fields.keys() & _OWN:
            self._fields["_made_by"] = self
        self.captured: Call | None = None
        """What `capture` has made, where it need not be made anew for each task."""

    def __call__(self, *args: Any, **kwargs: Any) -> FunctionTask:
        """A task that calls the function with these arguments.

        Tasks among them, or directly in a list, tuple or dict that is one of them, are waited for, and their outputs are given
        to the function in their place.
        """
        made = FunctionTask.__new__(FunctionTask)
        fields = made.__dict__
        fields.update(self._fields)
        fields["args"] = args
        fields["kwargs"] = kwargs
        sources = [task for _, task in places(args, kwargs, Task)] if args or kwargs else None
        if sources:
            fields["_sources"] = (*self.pattern._sources, *sources)
            fields["dependencies"] = tuple(dict.fromkeys([*self.pattern.dependencies, *[source.id for source in sources]]))
        return made

    def capture(self) -> Call:
        """What all these tasks share when they travel, as it is now."""
        call = Call.of(self.pattern)
        if lasts(self.function):
            self.captured = call
        return call

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.function, self.declared)


@overload
def task(function: Callable[P, R], /) -> TaskFunction[P, R]: ...
@overload
def task(
    *,
    name: str | None = None,
    processor: str | None = None,
    requires: Names | None = None,
    provides: Names | None = None,
    rebind: Names | None = None,
    inject: Mapping[str, Any] | None = None,
    skills: Skills | None = None,
    priority: int | None = None,
    timeout: float | None = None,
    expires_in: float | None = None,
    retry_policy: Any = None,
    breaker: Any = None,
    fallback: Any = None,
    idempotent: bool | None = None,
    version: tuple[int, int] | None = None,
    metadata: Mapping[str, Any] | None = None,
    revert: Callable[..., Any] | None = None,
) -> Callable[[Callable[P, R]], TaskFunction[P, R]]: ...
def task(function: Callable[..., Any] | None = None, /, **declared: Any) -> Any:
    """Make a function a task, declared by the keywords of `Task`; it stays callable as before.

    ``f.task(*args, **kwargs)`` makes the Task of a call. The function object itself stays what it was, so that it
    pickles by name wherever it did.
    """
    if function is None:
        return lambda decorated: task(decorated, **declared)
    if not callable(function):
        raise InvalidTask(f"@task decorates a function, not {function!r}")
    maker = Maker(function, declared)
    try:
        function.task = maker  # type: ignore[attr-defined]
    except (AttributeError, TypeError) as error:  # builtins and bound methods, and builtin classes
        raise InvalidTask(f"@task cannot mark {function!r}; write a def that calls it") from error
    return cast(TaskFunction[..., Any], function)


@dataclass(frozen=True, slots=True)
class Call:
    """What depends on the function and its declaration alone, made once for all calls."""

    spec: TaskSpec
    code: Code
    name: str
    what: str

    @classmethod
    def of(cls, pattern: FunctionTask) -> Call:
        """The calls of a function that is declared so."""
        code = capture(pattern.function, f"function {pattern.name!r}")
        return cls(pattern.spec(code), code, pattern.name, f"an argument of {pattern.name!r}")

    def submission(self, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Submission:
        """What travels of a call; it waits for the Tasks among its arguments. Raises `CannotPickle`."""
        if not args and not kwargs:
            return Submission(task_id, self.name, self.spec, _NO_ARGUMENTS, (), self.code)
        values = (*args, *kwargs.values()) if kwargs else args
        special = [value for value in values if not is_plain(value)]
        if not special:
            return Submission(task_id, self.name, self.spec, pickle.dumps((args, kwargs, {}, ()), 5), (), self.code)
        others = [value for value in special if not isinstance(value, Task)]
        args, kwargs, gaps, sources = _without_tasks(args, kwargs)
        # Of plain values alone `pickle.dumps` makes what `dumps` makes, and sooner.
        whole: tuple[Any, ...] = args, kwargs, {}, gaps
        payload = dumps(whole, self.what) if others else pickle.dumps(whole, 5)
        dependencies = tuple(dict.fromkeys([task_id for _, task_id in gaps]))
        return Submission(task_id, self.name, self.spec, payload, dependencies, self.code, shares=shared_in(others), sources=sources)


_NO_ARGUMENTS = pickle.dumps(((), {}, {}, ()), 5)
_OWN = frozenset({"metadata", "fallback", "input_data", "dependencies", "idempotency_key"})
"""What a declaration may say that a submission has beside its spec and its arguments."""
_calls: dict[int, tuple[weakref.ref[Any], Call]] = {}


def call_submission(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Submission:
    """What travels of the call ``function(*args, **kwargs)``, under a fresh id."""
    return call_of(function).submission(fresh_id(), args, kwargs)


def call_of(function: Callable[..., Any]) -> Call:
    """What all calls of the function share, made once if it `lasts`. Thread-safe."""
    known = _calls.get(id(function))
    return known[1] if known is not None and known[0]() is function else _remember(function)


def _remember(function: Callable[..., Any]) -> Call:
    if not callable(function):
        raise InvalidTask(f"a call needs a function, not {function!r}")
    maker = getattr(function, "task", None)
    call = Call.of(maker.pattern if isinstance(maker, Maker) else FunctionTask(function))
    if not lasts(function):
        return call
    key = id(function)
    try:
        _calls[key] = weakref.ref(function, lambda _: _calls.pop(key, None)), call
    except TypeError:
        pass  # cannot be watched, so it is looked at anew each time
    return call


Gaps = tuple[tuple[Place, str], ...]
"""The places that are left open in the arguments, each with the id of the task whose output goes there."""


def _without_tasks(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any], Gaps, tuple[Task, ...]]:
    """The arguments with None in place of each Task, the gaps that this leaves, and those tasks."""
    tasks = places(args, kwargs, Task)
    if not tasks:
        return args, kwargs, (), ()
    args, kwargs = replaced(args, kwargs, [(place, None) for place, _ in tasks])
    return args, kwargs, tuple([(place, task.id) for place, task in tasks]), tuple([task for _, task in tasks])


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", None) or type(function).__name__
