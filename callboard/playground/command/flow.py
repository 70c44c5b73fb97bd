"""``callboard flow``: the runs of flows that a store keeps."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from callboard.engines import DistributedExecutor, Executor, FlowResult, FlowRun, ParallelExecutor, SyncExecutor
from callboard.flows.state import ENDED, AtomState, FlowStatus
from callboard.messages.errors import FlowError, InvalidSetting
from callboard.playground.command.option import JsonOption, KeyOption, print_json
from callboard.playground.command.record import detail_data, detail_parts, run_data, runs_table
from callboard.playground.connection import connect
from callboard.state import StateManager

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, as `callboard flow list` shows it.")]
StoreOption = Annotated[
    str | None, typer.Option("--store", envvar="CALLBOARD_STORE", metavar="URL", help="Where runs are kept, such as sqlite:///runs.db.")
]

_PIPE_WIDTH = 10_000
"""Characters: what a program reads is not broken into lines for a screen."""


class Engine(StrEnum):
    """Who carries a run out."""

    SERIAL = "serial"
    PARALLEL = "parallel"


flow = typer.Typer(name="flow", no_args_is_help=True)


@flow.callback()
def flows() -> None:
    """Look at runs of flows, resume them, send them signals."""


@flow.command("list")
def list_runs(
    status: Annotated[FlowStatus | None, typer.Option(help="Only runs that stand so.")] = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """List the runs, the oldest first."""
    with open_state(store) as state:
        runs = state.runs(status=None if status is None else status.value)
    if as_json:
        print_json([run_data(run) for run in runs])
    elif runs:
        _console().print(runs_table(runs))
    else:
        print("no runs" if status is None else f"no runs that are {status.value}", file=sys.stderr)


@flow.command()
def show(run_id: RunArgument, as_json: JsonOption = False, store: StoreOption = None) -> None:
    """Show a run: its record, its atoms, what failed, and its history."""
    with open_state(store) as state:
        if as_json:
            print_json(detail_data(state, run_id))
            return
        parts = detail_parts(state, run_id)
    console = _console()
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, Text))


@flow.command()
def resume(
    run_id: RunArgument,
    engine: Annotated[Engine | None, typer.Option(help="One atom after the other (unless told), or several at once in threads.")] = None,
    workers: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Have the workers of the manager at tcp://HOST:PORT carry it out.")
    ] = None,
    key: KeyOption = None,
    store: StoreOption = None,
) -> None:
    """Go on with a run that was suspended, or whose process ended.

    Its factory is looked for in the working directory too; finished atoms do not run again. Do not resume what another
    process still carries out: that one is cut off. Ctrl-C suspends the run again, a second one ends it at once. Exit
    code 0 only when the run completed.
    """
    if workers is not None and engine is not None:
        raise InvalidSetting("--engine says who carries the run out here; leave it out where --workers do")
    if workers is None and key is not None:
        raise InvalidSetting("--key goes with --workers ADDRESS")
    sys.path.insert(0, os.getcwd())
    with open_state(store) as state, _executor(engine, workers, key, state) as executor:
        run = executor.reopen(run_id)
        with _suspended_by_signals(run):
            result = executor.drive(run)
    print(_ending(result))
    if not result.success:
        for name, failure in result.failures.items():
            print(f"callboard: {name}: {failure}", file=sys.stderr)
        raise typer.Exit(1)


@flow.command("signal")
def send(
    run_id: RunArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The signal that an atom of the run waits for.")],
    value: Annotated[str | None, typer.Argument(metavar="VALUE-JSON", help="What the waiting atom gets as its result; else null.")] = None,
    store: StoreOption = None,
) -> None:
    """Send a signal to a run.

    A run that is carried out somewhere hears it at once; one that is not finds it when it is resumed.
    """
    said = _parse(value)
    with open_state(store) as state:
        status = FlowStatus(state.run(run_id).status)
        if status in ENDED:
            raise FlowError(f"run {run_id} is {status.value}; nothing in it waits for a signal any more")
        state.signal(run_id, name, said)
    then = f"; callboard flow resume {run_id} goes on" if status is FlowStatus.SUSPENDED else ""
    print(f"run {run_id} ({status.value}) has got {name!r}{then}")


def open_state(url: str | None) -> StateManager:
    """Open the store, which must be there already: whoever looks for runs in a file that is not there has misspelt it."""
    if not url:
        raise InvalidSetting("which store? give --store URL, such as sqlite:///runs.db, or set CALLBOARD_STORE")
    if url == "memory:":
        raise InvalidSetting("a store in memory ends with its process, so that nothing can be found in it from here")
    path = url.partition("?")[0].removeprefix("sqlite:///")
    if url.startswith("sqlite:///") and not Path(path).exists():
        raise InvalidSetting(f"there is no file {path!r}, so that no runs are kept in {url!r}")
    return StateManager(url)


@contextmanager
def _executor(engine: Engine | None, workers: str | None, key: Path | None, state: StateManager) -> Iterator[Executor]:
    if workers is None:
        yield ParallelExecutor(state=state) if engine is Engine.PARALLEL else SyncExecutor(state=state)
        return
    with connect(workers, key=key) as connection:
        yield DistributedExecutor(connection, state=state)


def _console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console


def _parse(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidSetting(f"VALUE-JSON is no JSON: {error}; text needs quotes of its own, as in '\"yes\"'") from None


@contextmanager
def _suspended_by_signals(run: FlowRun) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM suspend the run, and the second do what it always does."""

    def suspend(number: int, frame: FrameType | None) -> None:
        restore()
        run.suspend()
        # Not print: it may be what was interrupted.
        os.write(sys.stderr.fileno(), b"callboard: suspending; what runs may end, unless this is said again\n")

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, suspend)
    try:
        yield
    finally:
        restore()


def _ending(result: FlowResult) -> str:
    text = f"run {result.run_id} of flow {result.name!r}: {result.status.value}"
    done = sum(state is AtomState.COMPLETED for state in result.states.values())
    waiting = [name for name, state in result.states.items() if state is AtomState.WAITING]
    return f"{text}, {done} of {len(result.states)} atoms completed" + (f"; waiting: {', '.join(waiting)}" if waiting else "")
