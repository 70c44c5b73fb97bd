"""cloudpickle as we use it: it also carries cached functions of a script or a notebook, with an empty cache.

Imported at the first value that plain pickle refuses: it takes its time.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any

import cloudpickle

_Cached = type(functools.lru_cache(int))


class Carrier(cloudpickle.Pickler):  # type: ignore[misc, unused-ignore]
    """Pickles by value what another process could not find by name."""

    def reducer_override(self, thing: Any) -> Any:
        """How to make ``thing`` again."""
        # Such an object gives its name alone, as a function does, and cloudpickle knows functions only.
        if type(thing) is _Cached and (thing.__module__ == "__main__" or "<locals>" in thing.__qualname__):
            return _cached, (thing.__wrapped__, thing.cache_parameters())
        return super().reducer_override(thing)


def _cached(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


def carry(value: Any, buffer_callback: Callable[[Any], object] | None = None) -> bytes:
    """``value`` as a pickle; buffers go to ``buffer_callback`` as in pickle itself."""
    with io.BytesIO() as file:
        Carrier(file, 5, buffer_callback=buffer_callback).dump(value)
        return file.getvalue()
