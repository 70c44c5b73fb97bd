"""Arguments and options that several commands share."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from callboard.messages.errors import InvalidSetting

AddressArgument = Annotated[str, typer.Argument(metavar="ADDRESS", help="Where the manager is: tcp://HOST:PORT.")]
KeyOption = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="Connection file; not needed on the machine and by the user that the manager runs as."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def parse_skills(texts: Iterable[str]) -> dict[str, int]:
    """``TAG=LEVEL`` (or ``TAG``, which is level 1) as a mapping; raises `InvalidSetting`."""
    found: dict[str, int] = {}
    for text in texts:
        tag, sign, level = text.partition("=")
        if not tag or (sign and not level.isdecimal()):
            raise InvalidSetting(f"--skill {text!r} is not TAG=LEVEL, such as oil=9")
        found[tag] = int(level) if sign else 1
    return found


def print_json(value: Any) -> None:
    """Print a value on one line; what JSON does not know is printed as its repr, in quotes."""
    print(json.dumps(value, default=repr), flush=True)
