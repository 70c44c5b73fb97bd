"""``callboard worker``."""

from __future__ import annotations

import difflib
import inspect
import logging
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from callboard.actors.hosting import serve
from callboard.actors.worker import ProcessWorker
from callboard.messages.errors import InvalidSetting
from callboard.messages.task import PLAIN_ROLE
from callboard.playground.command.option import AddressArgument, KeyOption, parse_skills


def worker(
    address: AddressArgument,
    target: Annotated[
        str | None,
        typer.Argument(metavar="MODULE:CLASS", help="Whose process() does the work; left out, a plain worker for carried code."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What it is called; else after its class and process.")] = None,
    role: Annotated[str | None, typer.Option(help="What tasks name as their processor.")] = None,
    skill: Annotated[list[str] | None, typer.Option(metavar="TAG=LEVEL", help="A skill; may be given several times.")] = None,
    slots: Annotated[int | None, typer.Option(help="How many tasks it runs at once.")] = None,
    import_path: Annotated[
        list[Path] | None, typer.Option(metavar="FOLDER", help="Where to look for MODULE besides the working directory.")
    ] = None,
    key: KeyOption = None,
) -> None:
    """Work for a manager.

    Ends when that does, or at SIGTERM or Ctrl-C; what runs then is finished first.
    """
    logging.getLogger("callboard").setLevel(logging.INFO)
    sys.path[:0] = [os.getcwd(), *(str(folder.resolve()) for folder in import_path or ())]
    kind = load_class(target) if target is not None else ProcessWorker
    given: dict[str, Any] = {"role": role, "skills": parse_skills(skill) if skill else None, "slots": slots}
    if target is None:
        given["role"] = role or PLAIN_ROLE
    called = name or f"{given['role'] if target is None else kind.__name__}-{os.getpid()}"
    made = build(kind, called, {option: value for option, value in given.items() if value is not None})
    if serve(made, address, key):
        # A task that would not stop holds a thread, which only a new process is rid of.
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def load_class(target: str) -> type[ProcessWorker]:
    """The worker class that ``MODULE:CLASS`` names; raises `InvalidSetting` that says what is not there."""
    module_name, _, path = target.partition(":")
    if not module_name or not path:
        raise InvalidSetting(f"{target!r} is not MODULE:CLASS, such as studio:Painter")
    found: Any = _module(module_name)
    for part in path.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, [name for name in dir(found) if not name.startswith("_")], 1)
            raise InvalidSetting(f"module {module_name!r} has no {path!r}" + (f"; is {near[0]!r} meant?" if near else ""))
        found = getattr(found, part)
    if not isinstance(found, type) or not issubclass(found, ProcessWorker):
        raise InvalidSetting(f"{target} is no ProcessWorker class but {found!r}")
    return found


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except Exception as error:  # the user's module may raise anything
        if isinstance(error, ModuleNotFoundError) and error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise InvalidSetting(f"there is no module {name!r} in {os.getcwd()} or elsewhere on the path; see --import-path") from None
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = "" if isinstance(error, SyntaxError) else f" ({frame.filename}, line {frame.lineno})"
        raise InvalidSetting(f"module {name!r} cannot be imported: {type(error).__name__}: {error}{place}") from error


def build(kind: type[ProcessWorker], name: str, given: dict[str, Any]) -> ProcessWorker:
    """Make a worker with what was ``given``; raises `InvalidSetting` where its constructor does not take that."""
    parameters = inspect.signature(kind).parameters.values()
    takes = {parameter.name for parameter in parameters if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)}
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    refused = [option for option in given if option not in takes and not anything]
    if refused:
        raise InvalidSetting(f"{kind.__name__} takes no {', '.join(refused)}, so that {'they' if refused[1:] else 'it'} cannot be given")
    needed = {parameter.name for parameter in parameters if parameter.default is parameter.empty and parameter.name in takes}
    missing = sorted(needed - set(given) - {"name"})
    if missing:
        raise InvalidSetting(f"{kind.__name__} needs {', '.join(missing)}, which cannot be given here; make a subclass that sets it")
    arguments = {"name": name, **given} if "name" in takes or anything else given
    try:
        return kind(**arguments)
    except InvalidSetting:
        raise
    except Exception as error:  # the user's constructor
        raise InvalidSetting(f"{kind.__name__} cannot be made: {type(error).__name__}: {error}") from error
