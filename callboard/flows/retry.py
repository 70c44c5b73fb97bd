"""Controllers: atoms that are asked what to do when something in their flow fails, and that feed each try."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from callboard.flows.binding import Binding, bind
from callboard.flows.decision import Decision, History, Verdict
from callboard.flows.declaration import Names, checked
from callboard.flows.signature import Signature, signature_of
from callboard.messages.errors import InvalidFlow, TaskFailed
from callboard.resilience import RetryPolicy


class Retry:
    """Base of controllers. One belongs to one flow: ``LinearFlow("name", retry=Times(3))``.

    ``execute`` runs before the flow's contents, in the engine, and gives them a value under ``provides``; it is called
    again for each further try. ``on_failure`` is asked when an atom of the flow has failed for good. Both take
    ``history`` and, by name, any stored values; so does ``revert``, with ``flow_failures``. Without a name it is
    called after its flow.
    """

    name: str | None = None
    provides: Any = None
    default_provides: Any = None

    def __init__(
        self,
        name: str | None = None,
        *,
        requires: Names | None = None,
        provides: Names | None = None,
        rebind: Names | None = None,
        inject: Mapping[str, Any] | None = None,
    ) -> None:
        label = f"controller {name or type(self).__name__!r}"
        if name is not None:
            self.name = checked("name", name, "a controller")
        given = provides if provides is not None else self.default_provides
        self.provides = None if given is None else checked("provides", given, label)
        self.requires = None if requires is None else checked("requires", requires, label)
        self.rebind = None if rebind is None else checked("rebind", rebind, label)
        self.inject = None if inject is None else checked("inject", inject, label)

    def execute(self, *args: Any, **inputs: Any) -> Any:
        """Give the value of the next try, by the ``history``; what it raises fails the controller."""
        return None

    def on_failure(self, *args: Any, **inputs: Any) -> Decision | Verdict:
        """Decide by the ``history``, whose last try holds the failures; both times ``history`` and inputs by name."""
        raise NotImplementedError(f"controller {type(self).__name__} has no on_failure() of its own")

    def revert(self, *args: Any, **inputs: Any) -> Any:
        """Undo what ``execute`` did."""

    def binding_of(self, method: Callable[..., Any]) -> Binding:
        """Under which stored names the arguments of ``execute``, ``on_failure`` or ``revert`` are looked up."""
        whole = signature_of(method, method=True)
        given = ("history", "flow_failures", "result")
        signature = Signature(
            tuple(name for name in whole.required if name not in given),
            tuple(name for name in whole.optional if name not in given),
            whole.open,
        )
        requires = self.requires if method is type(self).execute else None
        rebind, inject = self.rebind, self.inject
        if not whole.open:  # what another of the three takes
            if isinstance(rebind, Mapping):
                rebind = {argument: name for argument, name in rebind.items() if argument in signature.names}
            if inject is not None:
                inject = {argument: value for argument, value in inject.items() if argument in signature.names}
        return bind(signature, requires, rebind, inject, f"controller {type(self).__name__}")


class AlwaysRevert(Retry):
    """Never tries again: REVERT."""

    def on_failure(self, *args: Any, **inputs: Any) -> Decision:
        return Decision.REVERT


class AlwaysRevertAll(Retry):
    """Never tries again, and asks nobody: REVERT_ALL."""

    def on_failure(self, *args: Any, **inputs: Any) -> Decision:
        return Decision.REVERT_ALL


class _Limited(Retry):
    """Tries again while something is left to try, by a policy's delays."""

    def __init__(self, *, policy: RetryPolicy | None = None, revert_all: bool = False, **declared: Any) -> None:
        super().__init__(**declared)
        if policy is not None and not isinstance(policy, RetryPolicy):
            raise InvalidFlow(f"policy of controller {type(self).__name__} must be a RetryPolicy, not {policy!r}")
        self.policy = policy
        self.gives_up = Decision.REVERT_ALL if revert_all else Decision.REVERT
        self._began = time.monotonic()

    def begin(self, history: History) -> None:
        """Note when the first try began, for policies that look at the time."""
        if not history:
            self._began = time.monotonic()

    def verdict(self, history: History, limit: int) -> Decision | Verdict:
        """Whether to try again, with ``limit`` tries in all; the policy has no say in their number."""
        tried = len(history)
        if tried >= limit:
            return self.gives_up
        if self.policy is None:
            return Decision.RETRY
        last = next(iter(history[-1].failures.values()), None)
        error = last.exception() if last is not None else None
        patient = replace(self.policy, max_attempts=max(self.policy.max_attempts, limit))
        delay = patient.decide(error, tried, time.monotonic() - self._began, random.random())
        return self.gives_up if delay is None else Verdict(Decision.RETRY, delay)


class Times(_Limited):
    """Runs the flow at most ``attempts`` times in all; provides the number of the try, from 1.

    A ``policy`` says how long to wait between tries, and which errors are not worth one; the number of tries is this
    controller's. ``revert_all`` gives up by REVERT_ALL.
    """

    def __init__(self, attempts: int = 1, **declared: Any) -> None:
        super().__init__(**declared)
        if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
            raise InvalidFlow(f"Times counts attempts from 1, not {attempts!r}")
        self.attempts = attempts

    def execute(self, history: History, *args: Any, **inputs: Any) -> int:
        """The number of this try."""
        self.begin(history)
        return len(history) + 1

    def on_failure(self, history: History, *args: Any, **inputs: Any) -> Decision | Verdict:
        """RETRY until all attempts were made."""
        return self.verdict(history, self.attempts)


class ForEach(_Limited):
    """Tries one value after the other, each as the flow's input ``provides``, until one leads through."""

    def __init__(self, values: Iterable[Any], **declared: Any) -> None:
        super().__init__(**declared)
        if not isinstance(values, Iterable):
            raise InvalidFlow(f"ForEach tries one of several values after the other; {values!r} is none")
        self.values = list(values)

    def execute(self, history: History, *args: Any, **inputs: Any) -> Any:
        """The first value that was not tried yet."""
        self.begin(history)
        return _next(self.values, history)

    def on_failure(self, history: History, *args: Any, **inputs: Any) -> Decision | Verdict:
        """RETRY while there are values."""
        return self.verdict(history, len(self.values))


class ParameterizedForEach(_Limited):
    """As `ForEach`, for values that are found under the stored name ``values`` (see ``rebind``)."""

    def execute(self, values: Iterable[Any], history: History, *args: Any, **inputs: Any) -> Any:
        """The first value that was not tried yet."""
        self.begin(history)
        return _next(_all(values), history)

    def on_failure(self, values: Iterable[Any], history: History, *args: Any, **inputs: Any) -> Decision | Verdict:
        """RETRY while there are values."""
        return self.verdict(history, len(_all(values)))


def _all(values: Any) -> list[Any]:
    if not isinstance(values, Iterable) or isinstance(values, Iterator):
        raise TaskFailed(f"the values to try must be several, such as a list that can be gone through again, not {values!r}")
    return list(values)


def _next(values: list[Any], history: History) -> Any:
    if len(history) >= len(values):
        raise TaskFailed(f"no value is left to try of {len(values)}")
    return values[len(history)]
