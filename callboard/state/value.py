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

from callboard.messages.errors import CannotStore, StoreError
from callboard.messages.payload import dumps_small

_SCALARS = frozenset({str, int, float, bool, type(None)})
_dumps = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode


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
        return StoredValue(_dumps(value if _is_plain(value) else _tree(value)))
    except (RecursionError, ValueError):  # a cycle, a great depth, or an integer too long for text: pickle knows how
        return StoredValue(_dumps({"$pickle": _pickled(value, what)}))
    except _Unpickled as refusal:
        raise CannotStore(f"{what} cannot be stored: {refusal}") from refusal.__cause__


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind is dict:
        return all(type(key) is str and key[:1] != "$" for key in value) and all(map(_is_plain, value.values()))
    return kind is list and all(map(_is_plain, value))
