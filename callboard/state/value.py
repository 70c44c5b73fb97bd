"""Values as text that can be kept: JSON where it gives back what it got, tags and pickles where it would not.

JSON alone turns tuples into lists and keys into texts. So what is not plain JSON stands as an object with one key
that begins with ``$``. A store is trusted: whoever can write to it can run code in the processes that read it.
"""

from __future__ import annotations

import json
import pickle
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic_core import to_json

from callboard.messages.errors import CannotStore, StoreError
from callboard.messages.payload import dumps_small

_SCALARS = frozenset({str, float, bool, type(None)})
_MAX_INT = 2**2000
"""Above it an integer is pickled: Python reads no text of many more digits."""


@dataclass(slots=True, frozen=True)
class StoredValue:
    """A value as one line of JSON text, made by `encode`. Cheap to hold; decoded only when `load` is called."""

    text: str

    def load(self) -> Any:
        """A fresh copy of the value. Raises `StoreError` where a class it needs cannot be found any more."""
        try:
            return _loads(self.text)
        except Exception as error:  # unpickling raises whatever the user's classes raise
            raise StoreError(f"a stored value cannot be read back: {type(error).__name__}: {error}") from error


def encode(value: Any, what: str) -> StoredValue:
    """The form of ``value`` from which it comes back as it is now; raises `CannotStore`, which names ``what`` it is.

    Plain values (None, bool, int, float, str, lists and dicts of them), tuples, sets, frozensets, bytes, decimals, dates,
    naive and UTC datetimes and timedeltas are readable text. Anything else is pickled and the pickle tried at once;
    classes of ``__main__`` are kept both by name and by value. An object that occurs twice comes back as two equal ones.
    """
    try:
        return StoredValue(to_json(value if _is_plain(value) else _tree(value, what)).decode())
    except (RecursionError, ValueError):  # a cycle, a great depth, or a text that is no Unicode: pickle knows how
        return StoredValue(to_json({"$pickle": _pickled(value, what)}).decode())


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind is int:
        return bool(-_MAX_INT < value < _MAX_INT)
    if kind is dict:
        return _has_plain_keys(value) and all(map(_is_plain, value.values()))
    return kind is list and all(map(_is_plain, value))


def _has_plain_keys(value: dict[Any, Any]) -> bool:
    return all(type(key) is str and key[:1] != "$" for key in value)


def _tree(value: Any, what: str) -> Any:
    kind = type(value)
    if kind in _SCALARS or (kind is int and -_MAX_INT < value < _MAX_INT):
        return value
    if kind is list:
        return [_tree(item, what) for item in value]
    if kind is dict:
        if _has_plain_keys(value):
            return {key: _tree(item, what) for key, item in value.items()}
        return {"$dict": [[_tree(key, what), _tree(item, what)] for key, item in value.items()]}
    if kind is tuple:
        return {"$tuple": [_tree(item, what) for item in value]}
    if kind is set or kind is frozenset:
        # In a fixed order, so that equal sets have equal texts in every process.
        return {f"${kind.__name__}": sorted((_tree(item, what) for item in value), key=to_json)}
    if kind in _WRITERS and not _needs_pickle(value):
        return {f"${kind.__name__}": _WRITERS[kind](value)}
    return {"$pickle": _pickled(value, what)}


def _needs_pickle(value: Any) -> bool:
    # An ISO text knows neither time zones by name nor which of two equal hours at the end of summer is meant.
    return type(value) is datetime and (value.tzinfo not in (None, UTC) or value.fold != 0)


def _pickled(value: Any, what: str) -> list[str]:
    """The pickle, and a second one that carries classes of ``__main__`` along where the first may not find them."""
    try:
        try:
            named = pickle.dumps(value, 5)
        except Exception:  # pickle raises whatever a __reduce__ raises; cloudpickle gets its try
            kept = [dumps_small(value)]
        else:
            kept = [named, dumps_small(value)] if b"__main__" in named else [named]
        for data in kept:
            pickle.loads(data)
    except Exception as error:
        raise CannotStore(f"{what} cannot be stored: {type(error).__name__}: {error}") from error
    return [b64encode(data).decode() for data in kept]


def _unpickled(kept: list[str]) -> Any:
    *first, last = kept
    for text in first:
        try:
            return pickle.loads(b64decode(text))
        except (AttributeError, ImportError):  # another program's __main__
            pass
    return pickle.loads(b64decode(last))


_WRITERS: dict[type, Callable[[Any], Any]] = {
    bytes: lambda value: b64encode(value).decode(),
    bytearray: lambda value: b64encode(value).decode(),
    date: date.isoformat,
    datetime: datetime.isoformat,
    Decimal: str,
    timedelta: lambda value: [value.days, value.seconds, value.microseconds],
}

_READERS: dict[str, Callable[[Any], Any]] = {
    "$bytearray": lambda text: bytearray(b64decode(text)),
    "$bytes": b64decode,
    "$date": date.fromisoformat,
    "$datetime": datetime.fromisoformat,
    "$Decimal": Decimal,
    "$dict": dict,
    "$frozenset": frozenset,
    "$pickle": _unpickled,
    "$set": set,
    "$timedelta": lambda parts: timedelta(*parts),
    "$tuple": tuple,
}


def _untag(found: dict[str, Any]) -> Any:
    if len(found) == 1:
        [(key, held)] = found.items()
        if key[:1] == "$":
            return _READERS[key](held)
    return found


_loads = json.JSONDecoder(object_hook=_untag).decode
