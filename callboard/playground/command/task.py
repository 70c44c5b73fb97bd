"""``callboard submit`` and ``callboard explain``."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from callboard.flows import Task
from callboard.messages.errors import InvalidSetting
from callboard.messages.result import TaskResult
from callboard.playground.command.option import AddressArgument, KeyOption, parse_skills, print_json
from callboard.playground.connection import connect


def submit(
    address: AddressArgument,
    processor: Annotated[str, typer.Argument(metavar="PROCESSOR", help="The role of the workers that can do it.")],
    data: Annotated[str | None, typer.Option(metavar="JSON", help="What to work on: the request's data.")] = None,
    name: Annotated[str | None, typer.Option(help="What the task is called; else after its processor.")] = None,
    skill: Annotated[list[str] | None, typer.Option(metavar="TAG=LEVEL", help="A skill that it needs; may be given several times.")] = None,
    timeout: Annotated[float | None, typer.Option(metavar="SECONDS", help="How long one attempt may take.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the task and print its output, or print its id at once.")] = True,
    key: KeyOption = None,
) -> None:
    """Submit a task.

    Exit code 1 when it did not complete; Ctrl-C while waiting cancels it.
    """
    skills = parse_skills(skill) if skill else None
    task = Task(name or processor, processor, _input_data(data), skills=skills, timeout=timeout)
    with connect(address, key=key) as connection:
        handle = connection.submit(task)
        if not wait:
            _ = handle.status  # the answer says that the manager has it
            print(handle.task_id)
            return
        try:
            result = handle.result()
        except KeyboardInterrupt:
            if handle.cancel():
                print(f"cancelled {handle.task_id}", file=sys.stderr)
            raise
    if result.output is not None or result.success:
        print_json(result.output)
    if not result.success:
        print(f"callboard: {_ending(result)}", file=sys.stderr)
        raise typer.Exit(1)


def _input_data(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidSetting(f"--data is no JSON: {error}; text needs quotes of its own, as in --data '\"a cat\"'") from None
    return value if isinstance(value, dict) else {"data": value}


def _ending(result: TaskResult) -> str:
    where = f" on {result.worker}" if result.worker else ""
    return f"task {result.name!r} {result.status.value}{where}: {result.error}"


def explain(
    address: AddressArgument,
    task_id: Annotated[str, typer.Argument(metavar="ID", help="The task's id.")],
    key: KeyOption = None,
) -> None:
    """Say why a task is where it is."""
    with connect(address, key=key) as connection:
        print(connection.explain(task_id))
