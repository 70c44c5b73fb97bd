"""One TaskSpec for all equal declarations: made once, found again by its fields."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from callboard.messages.errors import CannotPickle, InvalidTask
from callboard.messages.payload import dumps_small
from callboard.messages.task import PLAIN_ROLE, WorkKind
from callboard.resilience import CircuitBreaker, RetryPolicy

if TYPE_CHECKING:
    from callboard.messages.spec import RetryNumbers, TaskSpec

MAX_SPECS = 4096
MAX_POLICIES = 256

_specs: dict[Hashable, TaskSpec] = {}
_policies: OrderedDict[int, tuple[Any, RetryNumbers, bytes]] = OrderedDict()


def intern_spec(
    name: str,
    kind: WorkKind,
    role: str | None,
    skills: Mapping[str, int] | None,
    priority: int,
    timeout: float | None,
    expires_in: float | None,
    policy: Any,
    breaker: Any,
    idempotent: bool,
    version: tuple[int, int],
    code: str | None,
    label: str | None,
) -> TaskSpec:
    """The spec of these fields, the same object each time as long as it is in use. Thread-safe.

    ``name`` is the task's, by which a circuit breaker without a name of its own goes.
    """
    if role is None and not skills:
        role = PLAIN_ROLE
    tags = tuple(sorted(skills.items())) if skills else ()
    numbers = blob = None
    if policy is not None:
        numbers, blob = _policy_form(policy)
    breaker_key = breaker_numbers = None
    if isinstance(breaker, CircuitBreaker):
        breaker_key, breaker_numbers = breaker.name or name, breaker.numbers()
    elif breaker is not None:
        breaker_key = breaker
    key = (kind, role, tags, priority, timeout, expires_in, blob, breaker_key, breaker_numbers, idempotent, version, code, label)
    spec = _specs.get(key)
    if spec is None:
        if len(_specs) >= MAX_SPECS:
            _specs.clear()  # specs are equal by value, so that forgetting them costs time and nothing else
        # Not above: what is declared before a block need not wait for pydantic, which its workers' ancestor imports meanwhile.
        from callboard.messages.spec import TaskSpec

        spec = TaskSpec(
            kind=kind,
            role=role,
            skills=tags,
            priority=priority,
            timeout=timeout,
            expires_in=expires_in,
            retry=numbers,
            policy=blob,
            breaker_key=breaker_key,
            breaker=breaker_numbers,
            idempotent=idempotent,
            version=version,
            code=code,
            label=label,
        )
        spec = _specs.setdefault(key, spec)
    return spec


def _policy_form(policy: Any) -> tuple[RetryNumbers, bytes]:
    known = _policies.get(id(policy))
    if known is None or known[0] is not policy:
        try:
            blob = dumps_small(policy)
        except Exception as error:  # a policy may hold the user's own functions, which raise what they like
            raise CannotPickle(f"retry policy {policy!r} cannot be carried to a worker: {type(error).__name__}: {error}") from error
        known = _policies[id(policy)] = (policy, _numbers(policy), blob)
        while len(_policies) > MAX_POLICIES:
            _policies.popitem(last=False)
    return known[1], known[2]


def _numbers(policy: Any) -> RetryNumbers:
    if isinstance(policy, RetryPolicy):
        return policy.numbers()
    from callboard.messages.spec import RetryNumbers

    # A person's own policy may say how many attempts there are at most; by that the manager judges deaths and overruns.
    fields = {field: getattr(policy, field) for field in RetryNumbers.model_fields if getattr(policy, field, None) is not None}
    try:
        return RetryNumbers(**fields)
    except ValueError as error:
        raise InvalidTask(f"retry policy {policy!r} has numbers that cannot work: {error}") from error
