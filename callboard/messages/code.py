"""Code that travels: functions and Task classes, captured once and recognised by the digest of their bytes."""

from __future__ import annotations

import hashlib
import threading
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


_captured: weakref.WeakKeyDictionary[Any, Code] = weakref.WeakKeyDictionary()
_restored: OrderedDict[str, Any] = OrderedDict()
_lock = threading.Lock()


def capture(thing: Any, what: str) -> Code:
    """Pickle ``thing`` at its first submission and remember the bytes for as long as the object lives.

    What a function closes over is captured with it, so later changes to globals or cells are not seen by workers.
    Raises `CannotPickle`, which names ``what``. Thread-safe.
    """
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
    import pickle

    with _lock:
        if digest in _restored:
            _restored.move_to_end(digest)
            return _restored[digest]
    thing = pickle.loads(blob)
    with _lock:
        _restored[digest] = thing
        while len(_restored) > MAX_RESTORED:
            _restored.popitem(last=False)
    return thing
