"""How a task's arguments are found among stored names, and under which names its result is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from callboard.flows.signature import Signature
from callboard.messages.errors import InvalidTask, TaskFailed


class Binding(NamedTuple):
    """``{argument: stored name}`` of what must and of what may be there, and the constants that need no looking up."""

    required: Mapping[str, str]
    optional: Mapping[str, str]
    constants: Mapping[str, Any]

    def pick(self, stored: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The arguments that ``stored`` gives, and the stored names that are missing for required ones."""
        arguments = {argument: stored[name] for argument, name in self.optional.items() if name in stored}
        missing = []
        for argument, name in self.required.items():
            if name in stored:
                arguments[argument] = stored[name]
            else:
                missing.append(name)
        arguments.update(self.constants)
        return arguments, missing


def bind(signature: Signature, requires: Any, rebind: Any, inject: Mapping[str, Any] | None, owner: str) -> Binding:
    """Match the arguments of ``signature`` with stored names; `InvalidTask` for a name that no argument takes.

    An argument is looked up under its own name unless ``rebind`` (a mapping, or names for the required arguments by
    position) or a ``requires`` that is a mapping says another. Names in ``requires`` must be there even where the
    argument has a default; those beyond the signature go to ``**kwargs``. ``inject`` gives constants.
    """
    required = {name: name for name in signature.required}
    optional = {name: name for name in signature.optional}
    for argument, name in _renamed(signature, requires, rebind):
        if argument in optional and not isinstance(requires, Mapping):
            optional[argument] = name
            continue
        if argument not in required and argument not in optional and not signature.open:
            raise InvalidTask(f"{owner} takes no argument {argument!r}; it takes {_listed(signature.names)}")
        optional.pop(argument, None)
        required[argument] = name
    if requires is not None and not isinstance(requires, Mapping):
        _demand(_several(requires), signature, required, optional, owner)
    constants = _constants(inject, signature, required, optional, owner) if inject else {}
    return Binding(required, optional, constants)


def _renamed(signature: Signature, requires: Any, rebind: Any) -> Iterable[tuple[str, str]]:
    if isinstance(requires, Mapping):
        yield from requires.items()
    if rebind is None:
        return
    if isinstance(rebind, Mapping):
        yield from rebind.items()
        return
    given = _several(rebind)
    yield from zip(signature.required, given, strict=False)
    for name in given[len(signature.required) :]:
        yield name, name


def _demand(given: Iterable[str], signature: Signature, required: dict[str, str], optional: dict[str, str], owner: str) -> None:
    for name in given:
        if name in required.values():
            continue
        argument = next((argument for argument, stored in optional.items() if stored == name), name)
        if argument not in optional and not signature.open:
            raise InvalidTask(f"{owner} requires {name!r}, which it takes no argument for; it takes {_listed(signature.names)}")
        optional.pop(argument, None)
        required[argument] = name


def _constants(
    inject: Mapping[str, Any], signature: Signature, required: dict[str, str], optional: dict[str, str], owner: str
) -> dict[str, Any]:
    constants = {}
    for name, value in inject.items():
        arguments = [argument for found in (required, optional) for argument, stored in found.items() if stored == name]
        if not arguments and not signature.open:
            raise InvalidTask(f"{owner} is given {name!r} by inject, which it takes no argument for; it takes {_listed(signature.names)}")
        for argument in arguments or [name]:
            required.pop(argument, None)
            optional.pop(argument, None)
            constants[argument] = value
    return constants


def _several(given: Any) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


Places = tuple[tuple[str, int | str | None], ...]
"""Stored names and where in the result each is found: None the whole, an int by position, a text by key."""


def places(provides: Any) -> Places:
    """Where each name of ``provides`` is found in a result: a text the whole, a sequence by position, a set or mapping by key."""
    if provides is None:
        return ()
    if isinstance(provides, str):
        return ((provides, None),)
    if isinstance(provides, Mapping):
        return tuple((name, key) for key, name in provides.items())
    if isinstance(provides, frozenset):
        return tuple((name, name) for name in sorted(provides))
    return tuple((name, position) for position, name in enumerate(provides))


def extract(result: Any, where: Places, owner: str) -> dict[str, Any]:
    """The stored names with their values out of ``result``; `TaskFailed` where a promised one is not in it."""
    found = {}
    for name, place in where:
        try:
            found[name] = result if place is None else result[place]
        except (LookupError, TypeError) as error:
            kind = "no item" if isinstance(place, int) else "no key"
            raise TaskFailed(f"{owner} promised {name!r}, but its result ({type(result).__name__}) has {kind} {place!r}") from error
        except Exception as error:  # the user's class, which may be asked for items
            kind = type(result).__name__
            raise TaskFailed(f"{owner} promised {name!r}, but its result ({kind}) raised {type(error).__name__}: {error}") from error
    return found
