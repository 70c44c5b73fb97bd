"""A failure as a value: what was raised, in words that can always travel, and the exception itself where it can."""

from __future__ import annotations

import pickle
import traceback as tracebacks
from typing import Self

from pydantic import BaseModel, ConfigDict

from callboard.messages.payload import dumps_small

MAX_TEXT = 16 * 1024
"""Characters of an error's own text."""
MAX_TRACEBACK = 64 * 1024
MAX_CAUSE = 4 * 1024
"""Characters of a cause's text and of its traceback, which stands in that of the failure already."""
MAX_PICKLED = 128 * 1024
"""Bytes of an exception that is carried itself; a larger one is told of in words only."""
MAX_CHAIN = 16


class Failure(BaseModel):
    """What went wrong, kept after the exception object is gone.

    ``type_name`` is the bare class name, ``names`` the qualified names of the class and its bases up to
    ``Exception``, ``traceback`` the text as the interpreter would print it, ``pickled`` the exception where it
    survived a round trip, ``causes`` the chain of ``__cause__`` or ``__context__``, nearest first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")

    type_name: str
    names: tuple[str, ...] = ()
    message: str = ""
    traceback: str = ""
    pickled: bytes | None = None
    causes: tuple[Failure, ...] = ()

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Describe ``error``; never raises, however odd the exception's class is."""
        return cls._of(error, MAX_CHAIN, MAX_TEXT, MAX_TRACEBACK, MAX_PICKLED)

    @classmethod
    def _of(cls, error: BaseException, depth: int, text: int, traceback: int, pickled: int) -> Self:
        cause = error.__cause__ if error.__suppress_context__ or error.__cause__ else error.__context__
        return cls(
            type_name=type(error).__name__,
            names=tuple(_qualified(base) for base in type(error).__mro__ if issubclass(base, BaseException)),
            message=shortened(_message(error), text),
            traceback=_traceback(error)[-traceback:],
            pickled=_pickled(error, pickled),
            causes=(cls._of(cause, depth - 1, MAX_CAUSE, MAX_CAUSE, MAX_CAUSE),) if cause is not None and depth > 0 else (),
        )

    @property
    def size(self) -> int:
        """About how many characters it has in a message."""
        own = len(self.message) + len(self.traceback) + sum(map(len, self.names)) + len(self.pickled or b"") * 4 // 3
        return own + sum(cause.size for cause in self.causes)

    def check(self, *kinds: type[BaseException] | str) -> type[BaseException] | str | None:
        """Return the first of ``kinds`` (classes, or bare or qualified names) that this failure is an instance of."""
        for kind in kinds:
            name = kind if isinstance(kind, str) else _qualified(kind)
            if name in self.names or any(known.rpartition(".")[2] == name for known in self.names):
                return kind
        return None

    def exception(self) -> BaseException | None:
        """Return the original exception, rebuilt where it was carried. Only for failures from a trusted peer."""
        if self.pickled is None:
            return None
        try:
            error = pickle.loads(self.pickled)
        except (Exception, SystemExit):  # the class may be unknown here, or its constructor may refuse
            return None
        return error if isinstance(error, BaseException) else None

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}" if self.message else self.type_name


def shortened(text: str, limit: int) -> str:
    """The beginning of a text that is too long, and by how much it was."""
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text) - limit:,} characters more)"


def _qualified(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error).encode("utf-8", "replace").decode()
    except BaseException:  # a user's __str__ may raise anything
        return f"<{type(error).__name__} whose text cannot be made>"


def _traceback(error: BaseException) -> str:
    try:
        return "".join(tracebacks.format_exception(error)).encode("utf-8", "replace").decode()
    except BaseException:  # a user's __str__ or __repr__ may raise anything
        return ""


def _pickled(error: BaseException, limit: int) -> bytes | None:
    # An exception whose __init__ takes odd arguments pickles and then refuses to load, so the whole way is tried.
    try:
        data = dumps_small(error)
        return data if len(data) <= limit and isinstance(pickle.loads(data), BaseException) else None
    except BaseException:  # and so may its __reduce__
        return None
