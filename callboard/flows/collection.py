"""Building what stays, without the garbage collector looking through it again and again."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_pauses = 0
_was_enabled = True


@contextmanager
def collection_paused() -> Iterator[None]:
    """Keep cyclic garbage from being collected meanwhile, in all threads; it is afterwards.

    A plan is many objects that all stay. Collections triggered by making them find nothing, and take longer the more
    there is: the time per atom would grow with the flow. May be nested, and used by several threads at once.
    """
    global _pauses, _was_enabled
    with _lock:
        if not _pauses:
            _was_enabled = gc.isenabled()
            gc.disable()
        _pauses += 1
    try:
        yield
    finally:
        with _lock:
            _pauses -= 1
            if not _pauses and _was_enabled:
                gc.enable()
