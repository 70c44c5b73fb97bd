"""One tree of errors. The docstring says what the error means; the data are attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class CallboardError(Exception):
    """Base of every error that callboard raises on its own account."""


# -- what a person declared -------------------------------------------------------------------


class InvalidTask(CallboardError, ValueError):
    """A task was declared with an argument that cannot work."""


class InvalidWorker(CallboardError, ValueError):
    """A worker was declared with an argument that cannot work."""


class InvalidSetting(CallboardError, ValueError):
    """A setting of a playground, a policy or a command has a value that cannot work."""


class DuplicateTask(CallboardError, ValueError):
    """A task id was given that this manager has already seen; leave ``id`` out to get a fresh one."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"task id {task_id!r} was submitted before; leave id out to get a fresh one, or choose another")
        self.task_id = task_id

    def __reduce__(self) -> tuple[type[DuplicateTask], tuple[str]]:
        return type(self), (self.task_id,)


class DependencyCycle(CallboardError, ValueError):
    """Tasks or atoms depend on each other in a circle, so that none could ever start."""

    def __init__(self, cycle: Sequence[str]) -> None:
        super().__init__("dependencies form a cycle: " + " -> ".join(cycle))
        self.cycle = tuple(cycle)

    def __reduce__(self) -> tuple[type[DependencyCycle], tuple[tuple[str, ...]]]:
        return type(self), (self.cycle,)


class UnknownTask(CallboardError, KeyError):
    """No task of this id was ever submitted here, or it ended so long ago that its record was let go."""

    def __init__(self, task_id: str) -> None:
        super().__init__(task_id)
        self.task_id = task_id

    def __str__(self) -> str:
        return f"no task {self.task_id!r} is known here"


class UnknownDependency(CallboardError):
    """A task waits for an id that nobody submitted, and nobody is left who could."""

    def __init__(self, text: str, missing: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.missing = tuple(missing)


class OutputReleased(CallboardError):
    """A late dependency ended so long ago that its output was let go; submit dependents before or soon after it ends."""


class UnknownValue(CallboardError):
    """A task uses a shared value that is not there: its stage has ended, or it was put on another one."""


# -- how a task can end -----------------------------------------------------------------------


class TaskError(CallboardError):
    """Base of the errors in which a task's ending is told to its caller."""


class TaskFailed(TaskError):
    """A task failed; the original exception, where it could be carried, is the cause."""


class TaskTimedOut(TaskError, TimeoutError):
    """An attempt ran longer than the task's ``timeout`` (seconds) and was stopped."""


class TaskCancelled(TaskError):
    """A task was cancelled before it had a result."""


class TaskSkipped(TaskError):
    """A task never ran because a dependency failed, was skipped or was cancelled."""


class NoCapableWorker(TaskError):
    """No worker that is present has the role and the skills that a task needs."""


class WorkerDied(TaskError):
    """A worker's process ended while it ran the task, more often than ``max_worker_deaths`` allows."""


class WorkerLost(TaskError):
    """A worker can no longer be reached."""


class ChainTooDeep(TaskError):
    """Listeners started each other more than ``max_chain`` times in a row, or ever more of each other."""


class CircuitOpen(TaskError):
    """The circuit breaker of a task is open: the call was refused without being tried."""


class QuorumNotReached(TaskError):
    """A fan-out ended with fewer successes than its quorum asked for."""


class GroupFailed(TaskError):
    """An item of a fan-out failed and ``on_error`` is ``"raise"``."""


# -- what cannot travel -----------------------------------------------------------------------


class CannotPickle(CallboardError, TypeError):
    """An argument, a result or a piece of code cannot be pickled, so it cannot cross to another process."""


class PayloadTooLarge(CallboardError, ValueError):
    """A value is larger than ``max_payload`` (bytes); nothing was sent."""


class WireError(CallboardError):
    """Bytes arrived that are no message of this protocol."""


# -- who can be reached -----------------------------------------------------------------------


class PlaygroundClosed(CallboardError, RuntimeError):
    """The playground has ended, or has not begun, so it takes no work."""


class AlreadyPlaying(CallboardError, RuntimeError):
    """``play()`` was entered a second time on one playground."""


class WorkerStartFailed(CallboardError, RuntimeError):
    """A local worker could not be started: its process ended or its ``on_start`` raised."""


class NoRequest(CallboardError, LookupError):
    """`ProcessRequest.current` was asked for where no task of a worker is running."""


class BacklogFull(CallboardError, RuntimeError):
    """As many tasks wait as the playground was told to hold (``max_backlog``); try again when some have ended."""


class CannotBind(CallboardError, OSError):
    """The address is in use, or may not be bound."""


class CannotWrite(CallboardError, OSError):
    """A file that is needed cannot be written."""


class CannotConnect(CallboardError, ConnectionError):
    """Nobody answered at the address in time, or the address is no address."""


class Refused(CallboardError, ConnectionError):
    """The other side answered and would not have us: wrong key, or an incompatible version."""


class MissingExtra(CallboardError, ImportError):
    """An optional package is needed for this; the message names the extra to install."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is needed for this: pip install 'callboard[{extra}]'")
        self.package = package
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        return type(self), (self.package, self.extra)


# -- flows, engines and state -----------------------------------------------------------------


class FlowError(CallboardError):
    """Base of what can be wrong with a flow or its run."""


class InvalidFlow(FlowError, ValueError):
    """A flow was declared so that it cannot run; nothing of it ran."""


class MissingDependencies(InvalidFlow):
    """An atom needs a name that nobody before it provides."""

    def __init__(self, text: str, missing: Mapping[str, Sequence[str]] | None = None) -> None:
        super().__init__(text)
        self.missing = {atom: tuple(names) for atom, names in (missing or {}).items()}


class AmbiguousDependency(InvalidFlow):
    """Two atoms provide a name that a third needs, and nothing says which is meant."""


class DuplicateAtom(InvalidFlow):
    """Two atoms of one flow bear the same name."""


class TypeMismatch(InvalidFlow):
    """A task provides a value of another class than the task that needs it takes."""


class FlowFailed(FlowError):
    """A run of a flow ended without success, and no single exception tells why."""


class FlowSuspended(FlowError):
    """A run was asked for its output, but it is suspended; resume it by its run id."""


class FlowCancelled(FlowError):
    """A run was cancelled, or its deadline passed, before it had an output."""


class SignalTimedOut(FlowError, TimeoutError):
    """Nobody sent the signal that an atom waited for."""


class IllegalTransition(CallboardError, RuntimeError):
    """A state was to follow another that the table of transitions does not allow."""


class StoreError(CallboardError):
    """Base of what can go wrong where state is kept."""


class VersionConflict(StoreError):
    """A record was changed by somebody else since it was read."""


class CannotStore(StoreError, TypeError):
    """A value cannot be written in a form from which it comes back as it was."""


class UnknownRecord(StoreError, KeyError):
    """Nothing of this name is kept in the store."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(kind, name)
        self.kind = kind
        self.name = name

    def __str__(self) -> str:
        return f"no {self.kind} {self.name!r} is kept in this store"


class StoreUnavailable(StoreError, ConnectionError):
    """The place where state is kept cannot be reached, is busy for too long, or refuses to answer."""
