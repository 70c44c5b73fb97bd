"""Values that clients have put: kept while their handle lives, or an open task or a rule needs them."""

from __future__ import annotations

from collections.abc import Iterator

from callboard.messages.codec import Packed
from callboard.messages.errors import UnknownValue
from callboard.messages.task import Submission


class _Value:
    __slots__ = ("client", "packed", "users")

    def __init__(self, client: str, packed: Packed) -> None:
        self.client: str | None = client  # whose handle lives; None when it does no more
        self.packed = packed
        self.users = 0


class Values:
    """The values by id. ``gone`` gathers the ids of those that were let go, until `take_gone`."""

    def __init__(self) -> None:
        self._values: dict[str, _Value] = {}
        self._gone: list[str] = []

    def __contains__(self, value_id: str) -> bool:
        return value_id in self._values

    def put(self, value_id: str, client: str, packed: Packed) -> None:
        """Keep a value for a client; again after a reconnect, when it may be here already."""
        known = self._values.get(value_id)
        if known is None:
            self._values[value_id] = _Value(client, packed)
        else:
            known.client = client

    def packed(self, value_id: str) -> Packed:
        """The bytes of a value that is in use."""
        return self._values[value_id].packed

    def use(self, submission: Submission) -> None:
        """A task or a rule needs its values from now on. Raises `UnknownValue`, and has then done nothing."""
        if not submission.shares and submission.fallback is None:
            return
        needed = list(_needed(submission))
        missing = [value_id for value_id in needed if value_id not in self._values]
        if missing:
            raise UnknownValue(
                f"task {submission.name!r} uses the shared value {missing[0]}, which is not here (any more): "
                "its stage has ended, or it was put on another one"
            )
        for value_id in needed:
            self._values[value_id].users += 1

    def release(self, submission: Submission) -> None:
        """It needs them no longer."""
        if not submission.shares and submission.fallback is None:
            return
        for value_id in _needed(submission):
            self._values[value_id].users -= 1
            self._look(value_id)

    def drop(self, value_id: str) -> None:
        """The handle is gone; an unknown one is no error."""
        value = self._values.get(value_id)
        if value is not None:
            value.client = None
            self._look(value_id)

    def drop_client(self, client: str) -> None:
        """All handles of a client are gone with it."""
        for value_id in [value_id for value_id, value in self._values.items() if value.client == client]:
            self.drop(value_id)

    def take_gone(self) -> list[str]:
        """What was let go since the last call."""
        gone, self._gone = self._gone, []
        return gone

    def _look(self, value_id: str) -> None:
        value = self._values[value_id]
        if value.client is None and value.users == 0:
            del self._values[value_id]
            self._gone.append(value_id)


def _needed(submission: Submission) -> Iterator[str]:
    """The values of a task, and of the fallback task that it carries."""
    yield from submission.shares
    if isinstance(submission.fallback, Submission):
        yield from _needed(submission.fallback)
