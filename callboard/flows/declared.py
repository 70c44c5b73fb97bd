"""What a person declares of a task: its fields, checked and kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from callboard.flows.declaration import CHECKS, Names, Skills, checked
from callboard.messages.errors import DependencyCycle, InvalidTask
from callboard.messages.task import fresh_id


class _FreshId:
    """Makes a task's id when it is first asked for; later reads find it on the instance."""

    def __get__(self, task: Declared | None, owner: type[Declared] | None = None) -> Any:
        return self if task is None else task.__dict__.setdefault("id", fresh_id())


class Declared:
    """The fields of a task. A class sets its own as attributes of their names, or of those names after ``default_``."""

    name: str = "Task"
    processor: str | None = None
    input_data: Mapping[str, Any] | None = None
    requires: Any = None
    provides: Any = None
    rebind: Any = None
    inject: Mapping[str, Any] | None = None
    dependencies: tuple[str, ...] = ()
    skills: Mapping[str, int] | None = None
    priority: int = 0
    timeout: float | None = None
    expires_in: float | None = None
    retry_policy: Any = None
    breaker: Any = None
    fallback: Any = None
    idempotency_key: str | None = None
    idempotent: bool = False
    version: tuple[int, int] = (1, 0)
    metadata: Mapping[str, Any] | None = None
    id: Any = _FreshId()

    tolerated: bool = False
    """In a flow, a failure is no failure but a result: the `TaskResult` that tells of it. Fan-outs set it."""

    _given_id: bool = False
    _sources: tuple[Any, ...] = ()
    _named: ClassVar[bool] = False

    def __init__(
        self,
        name: str | None = None,
        processor: str | None = None,
        input_data: Mapping[str, Any] | None = None,
        *,
        requires: Names | None = None,
        provides: Names | None = None,
        rebind: Names | None = None,
        inject: Mapping[str, Any] | None = None,
        dependencies: Iterable[str | Declared] = (),
        skills: Skills | None = None,
        priority: int | None = None,
        timeout: float | None = None,
        expires_in: float | None = None,
        retry_policy: Any = None,
        breaker: Any = None,
        fallback: Any = None,
        idempotency_key: str | None = None,
        idempotent: bool | None = None,
        version: tuple[int, int] | None = None,
        metadata: Mapping[str, Any] | None = None,
        id: str | None = None,
    ) -> None:
        # The commonest three by hand: a million tasks are declared by a name, a processor and inputs alone.
        if name is not None:
            self.name = name if type(name) is str and name else checked("name", name, "a task")
        if processor is not None:
            self.processor = processor if type(processor) is str and processor else checked("processor", processor, self._label())
        if input_data is not None:
            self.input_data = input_data if type(input_data) is dict else checked("input_data", input_data, self._label())
        if requires is not None:
            self._declare("requires", requires)
        if provides is not None:
            self._declare("provides", provides)
        if rebind is not None:
            self._declare("rebind", rebind)
        if inject is not None:
            self._declare("inject", inject)
        if skills is not None:
            self._declare("skills", skills)
        if priority is not None:
            self._declare("priority", priority)
        if timeout is not None:
            self._declare("timeout", timeout)
        if expires_in is not None:
            self._declare("expires_in", expires_in)
        if retry_policy is not None:
            self._declare("retry_policy", retry_policy)
        if breaker is not None:
            self._declare("breaker", breaker)
        if fallback is not None:
            self._declare("fallback", fallback)
        if idempotency_key is not None:
            self._declare("idempotency_key", idempotency_key)
        if idempotent is not None:
            self._declare("idempotent", idempotent)
        if version is not None:
            self._declare("version", version)
        if metadata is not None:
            self._declare("metadata", metadata)
        if id is not None:
            if not isinstance(id, str) or not id:
                raise InvalidTask(f"id of {self._label()} must be a text that is not empty, not {id!r}")
            self.id = id
            self._given_id = True
        if dependencies:
            self._depend(dependencies)

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "name" in cls.__dict__ or "default_name" in cls.__dict__:
            cls._named = True
        elif not cls._named:
            cls.name = cls.__name__
        for field in CHECKS:
            declared = cls.__dict__.get(f"default_{field}", cls.__dict__.get(field))
            if declared is not None and not hasattr(declared, "__get__"):
                setattr(cls, field, checked(field, declared, f"class {cls.__qualname__}"))

    def _declare(self, field: str, value: Any) -> None:
        setattr(self, field, checked(field, value, self._label()))

    def _depend(self, dependencies: Iterable[str | Declared]) -> None:
        if isinstance(dependencies, (str, Declared)) or not isinstance(dependencies, Iterable):
            raise InvalidTask(f"dependencies of {self._label()} must be several ids or Tasks; write {{{dependencies!r}}}")
        given = list(dependencies)
        for dependency in given:
            if not isinstance(dependency, (str, Declared)) or dependency == "":
                hint = f"; its id is {dependency.task_id!r}" if hasattr(dependency, "task_id") else ""
                raise InvalidTask(f"each dependency of {self._label()} must be an id or a Task, not {dependency!r}{hint}")
        self._sources = tuple(dependency for dependency in given if isinstance(dependency, Declared))
        ids = dict.fromkeys(dependency.id if isinstance(dependency, Declared) else dependency for dependency in given)
        if self._given_id and self.id in ids:
            raise DependencyCycle([self.id, self.id])
        self.dependencies = tuple(ids)

    def _label(self) -> str:
        return f"task {self.name!r}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"
