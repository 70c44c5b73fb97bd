"""What a run of a flow came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from callboard.flows.state import AtomState, FlowStatus
from callboard.messages.errors import FlowCancelled, FlowFailed, FlowSuspended
from callboard.messages.failure import Failure


@dataclass(slots=True, frozen=True)
class FlowResult:
    """How a run ended, or where it was suspended.

    ``outputs`` maps every stored name to its value; of what was reverted nothing remains. ``output`` is the last atom's
    own result, of a CompositeTask its outputs by name. ``failures`` maps atoms to what failed in them and was not made
    good by another try; ``states`` maps all atoms to how they stand. ``duration`` is seconds, of this process alone.
    """

    run_id: str
    name: str
    status: FlowStatus
    output: Any = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    failures: Mapping[str, Failure] = field(default_factory=dict)
    states: Mapping[str, AtomState] = field(default_factory=dict)
    duration: float = 0.0
    exceptions: tuple[BaseException, ...] = ()

    @property
    def success(self) -> bool:
        """Whether the flow completed."""
        return self.status is FlowStatus.COMPLETED

    def is_completed(self) -> bool:
        """Whether the flow completed; the same as `success`."""
        return self.status is FlowStatus.COMPLETED

    @property
    def error(self) -> str | None:
        """The failures in one line; None where there are none."""
        return "; ".join(f"{name}: {failure}" for name, failure in self.failures.items()) or None

    def unwrap(self) -> Any:
        """The output; or raises the original exception, several as an `ExceptionGroup`.

        Raises `FlowSuspended` and `FlowCancelled` for runs that are, and `FlowFailed` where no exception was raised.
        """
        if self.status is FlowStatus.COMPLETED:
            return self.output
        if self.status is FlowStatus.SUSPENDED:
            raise FlowSuspended(f"flow {self.name!r} is suspended; resume it by its run id {self.run_id!r}")
        if self.status is FlowStatus.CANCELLED:
            raise FlowCancelled(f"flow {self.name!r} was cancelled" + (f": {self.error}" if self.error else ""))
        if len(self.exceptions) == 1:
            raise self.exceptions[0]
        if self.exceptions:
            raise BaseExceptionGroup(f"{len(self.exceptions)} atoms of flow {self.name!r} failed", self.exceptions)
        raise FlowFailed(f"flow {self.name!r} {self.status.value}" + (f": {self.error}" if self.error else ""))
