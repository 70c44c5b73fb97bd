"""``callboard manager`` and ``callboard keys``."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from callboard.actors.keyring import Address, connection_file, server_keys
from callboard.messages.errors import InvalidSetting
from callboard.playground.playground import Playground

_ENDING = {signal.SIGINT, signal.SIGTERM}


def manager(
    host: Annotated[
        str, typer.Option(envvar="CALLBOARD_HOST", help="Interface to listen on; others than loopback need --key-file.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="CALLBOARD_PORT", help="Port for tasks; events take the next one if it is free.")] = 8000,
    name: Annotated[str, typer.Option(help="What it is called.")] = "manager",
    key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the keys in this file (see `callboard keys`), so that they outlive a restart.")
    ] = None,
    max_payload: Annotated[int | None, typer.Option(metavar="BYTES", help="Largest value that may travel.")] = None,
    max_worker_deaths: Annotated[
        int | None, typer.Option(metavar="COUNT", help="Deaths of workers after which a task is given up.")
    ] = None,
    max_chain: Annotated[int | None, typer.Option(metavar="COUNT", help="How often in a row events may start tasks.")] = None,
) -> None:
    """Run a manager.

    It has no workers of its own, and ends at SIGTERM or Ctrl-C; what is open then is cancelled.
    """
    playground = Playground(
        name,
        host=host,
        port=port,
        key_file=key_file,
        max_payload=max_payload,
        max_worker_deaths=max_worker_deaths,
        max_chain=max_chain,
    )
    # Blocked in all threads and then waited for, so that no handler runs in the midst of anything.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    playground.begin([])
    try:
        print(f"{name} listens on {playground.address}; its connection file is {connection_file(Address(host, port))}", flush=True)
        signal.sigwait(_ENDING)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # a second Ctrl-C ends it at once
        playground.abort()
    finally:
        playground.kill()


def keys(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The connection file to make; the manager's secret goes to PATH.server.")],
) -> None:
    """Make key files.

    A manager that is to be reached from other machines needs them.
    """
    secret = Path(f"{path}.server")
    for file in (path, secret):
        if file.exists():
            raise InvalidSetting(f"{file} exists already; nothing was changed")
    server_keys(path)
    print(f"{path}: give it to workers and clients, by --key")
    print(f"{secret}: for the manager alone; start it with --key-file {path}")
