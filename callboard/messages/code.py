"""Code that travels: functions and Task classes, captured once and recognised by the digest of their bytes."""

from __future__ import annotations

import functools
import hashlib
import pickle
import threading
import types
import weakref
from collections import OrderedDict
from typing import Any, NamedTuple

from callboard.messages.errors import CannotPickle
from callboard.messages.payload import dumps_small

MAX_RESTORED = 4096


class Code(NamedTuple):
    """A pickled function or class and the digest that names it."""

    digest: str
    blob: bytes


_LASTING = (types.FunctionType, types.BuiltinFunctionType, type, functools.partial)

_captured: weakref.WeakKeyDictionary[Any, Code] = weakref.WeakKeyDictionary()
_restored: OrderedDict[str, Any] = OrderedDict()
_latest: tuple[str, Any] = "", None  # as most tasks in a row are of one function
_lock = threading.Lock()


def lasts(thing: Any) -> bool:
    """Whether a callable is captured once: functions and classes are, objects with a state of their own and methods of them are not."""
    return isinstance(thing, _LASTING)


def capture(thing: Any, what: str) -> Code:
    """Pickle ``thing``; a function or class at its first submission, its bytes being remembered for as long as it lives.

    What a function closes over is captured with it, so later changes to globals or cells are not seen by workers. Other
    callables are captured as they are now, each time. Raises `CannotPickle`, which names ``what``. Thread-safe.
    """
    if not lasts(thing):
        return _capture(thing, what)
    try:
        known = _captured.get(thing)
    except TypeError:  # not hashable or not weakly referable: captured anew each time
        return _capture(thing, what)
    if known is None:
        known = _capture(thing, what)
        try:
            _captured[thing] = known
        except TypeError:
            pass
    return known


def _capture(thing: Any, what: str) -> Code:
    try:
        blob = dumps_small(thing)
    except Exception as error:  # cloudpickle raises whatever the captured objects raise
        raise CannotPickle(f"{what} cannot be carried to a worker: {type(error).__name__}: {error}") from error
    return Code(hashlib.blake2b(blob, digest_size=16).hexdigest(), blob)


def restore(digest: str, blob: bytes) -> Any:
    """The object of a code blob; loaded once a process, the oldest let go. Only for blobs from a proven peer."""
    global _latest
    latest = _latest  # both of it at once: other threads change it
    if latest[0] == digest:
        return latest[1]
    with _lock:
        if digest in _restored:
            _restored.move_to_end(digest)
            thing = _restored[digest]
            _latest = digest, thing
            return thing
    thing = pickle.loads(blob)
    with _lock:
        _restored[digest] = thing
        _latest = digest, thing
        while len(_restored) > MAX_RESTORED:
            _restored.popitem(last=False)
    return thing
