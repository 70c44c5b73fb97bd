"""cloudpickle as we use it: it also carries cached functions of a script or a notebook, with an empty cache, and leaves a
class of theirs as it is when it comes back to where it was made.

Imported at the first value that plain pickle refuses: it takes its time.
"""

from __future__ import annotations

import functools
import io
import weakref
from collections.abc import Callable
from typing import Any

import cloudpickle

_Cached = type(functools.lru_cache(int))

_ours: weakref.WeakSet[type] = weakref.WeakSet()
"""Classes that were carried from here and were made here. cloudpickle knows one again that comes back, but gives it its methods
anew: they would no longer see the globals of their script."""
_theirs: weakref.WeakSet[type] = weakref.WeakSet()
"""Classes that were carried here."""


class Carrier(cloudpickle.Pickler):  # type: ignore[misc, unused-ignore]
    """Pickles by value what another process could not find by name."""

    def reducer_override(self, thing: Any) -> Any:
        """How to make ``thing`` again."""
        # Such an object gives its name alone, as a function does, and cloudpickle knows functions only.
        if type(thing) is _Cached and (thing.__module__ == "__main__" or "<locals>" in thing.__qualname__):
            return _cached, (thing.__wrapped__, thing.cache_parameters())
        reduced = super().reducer_override(thing)
        if isinstance(thing, type) and isinstance(reduced, tuple) and len(reduced) == 6:
            if thing not in _theirs:
                _ours.add(thing)
            make, arguments, state, _, _, fill = reduced
            return make, arguments, (fill, state), None, None, _filled
        return reduced


def _cached(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


def _filled(made: type, given: tuple[Callable[[type, Any], type], Any]) -> type:
    if made in _ours:
        return made
    _theirs.add(made)
    fill, state = given
    return fill(made, state)


def carry(value: Any, buffer_callback: Callable[[Any], object] | None = None) -> bytes:
    """``value`` as a pickle; buffers go to ``buffer_callback`` as in pickle itself."""
    with io.BytesIO() as file:
        Carrier(file, 5, buffer_callback=buffer_callback).dump(value)
        return file.getvalue()
