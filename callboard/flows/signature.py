"""The inputs that a function asks for, read once from its signature."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple


class Signature(NamedTuple):
    """Argument names: those without a default, those with one, and whether ``**kwargs`` takes any other.

    Those that can be given by position alone are not among them: ``nameless`` are the ones without a default, of
    ``positional`` in all.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    open: bool
    nameless: tuple[str, ...] = ()
    positional: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Every named argument."""
        return self.required + self.optional


_known: weakref.WeakKeyDictionary[Callable[..., Any], Signature] = weakref.WeakKeyDictionary()
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def signature_of(function: Callable[..., Any], *, method: bool = False) -> Signature:
    """Read the signature of ``function``, without its first argument where it is a ``method`` taken from a class.

    A builtin that does not tell its signature counts as taking anything.
    """
    try:
        known = _known.get(function)
        if known is None:
            known = _known[function] = _read(function, method)
    except TypeError:  # not weakly referable
        return _read(function, method)
    return known


def _read(function: Callable[..., Any], method: bool) -> Signature:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:
        return Signature((), (), True)
    if method:
        parameters = parameters[1:]
    named = [p for p in parameters if p.kind in _BY_NAME]
    positional = [p for p in parameters if p.kind is p.POSITIONAL_ONLY]
    return Signature(
        tuple(p.name for p in named if p.default is p.empty),
        tuple(p.name for p in named if p.default is not p.empty),
        any(p.kind is p.VAR_KEYWORD for p in parameters),
        tuple(p.name for p in positional if p.default is p.empty),
        len(positional),
    )
