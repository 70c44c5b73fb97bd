"""What a controller of retries decides, and the history that it decides by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, overload

if TYPE_CHECKING:
    from callboard.messages.failure import Failure


class Decision(StrEnum):
    """What is to follow a failure inside of a controller's flow."""

    RETRY = "retry"
    """Revert the flow and run it again."""
    REVERT = "revert"
    """Give up here: the controller of the flow around decides; without one everything is reverted."""
    REVERT_ALL = "revert_all"
    """Revert everything, whatever the controllers around would say."""


class Verdict(NamedTuple):
    """A decision, and for RETRY the seconds to wait before the next try; nothing is blocked meanwhile."""

    decision: Decision
    delay: float = 0.0


class Attempt(NamedTuple):
    """One try of a controller's flow: the value that it was given, and what failed in it, by atom."""

    value: Any
    failures: dict[str, Failure]


class History(Sequence[Attempt]):
    """All tries so far, the oldest first."""

    def __init__(self, attempts: Sequence[Attempt] = ()) -> None:
        self._attempts = tuple(attempts)

    @overload
    def __getitem__(self, index: int) -> Attempt: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Attempt]: ...
    def __getitem__(self, index: int | slice) -> Attempt | Sequence[Attempt]:
        return self._attempts[index]

    def __len__(self) -> int:
        return len(self._attempts)

    def __iter__(self) -> Iterator[Attempt]:
        return iter(self._attempts)

    def provided(self) -> list[Any]:
        """The values that were tried."""
        return [attempt.value for attempt in self._attempts]

    def caused_by(self, kind: type[BaseException] | str, index: int = -1) -> bool:
        """Whether a failure of the try at ``index`` was of this kind (a class, or its name)."""
        if not self._attempts:
            return False
        return any(failure.check(kind) for failure in self._attempts[index].failures.values())
