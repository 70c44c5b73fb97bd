"""``callboard status`` and ``callboard dump``."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from callboard.playground.command.option import AddressArgument, JsonOption, KeyOption, print_json
from callboard.playground.connection import connect


def status(address: AddressArgument, as_json: JsonOption = False, key: KeyOption = None) -> None:
    """Show who is busy, and how much waits for what."""
    with connect(address, key=key) as connection:
        overview = connection.task_manager.overview()
        where = connection.address
    if as_json:
        print_json(overview)
        return
    console = Console(highlight=False)
    console.print(_headline(where, overview))
    if overview["queues"]:
        console.print()
        console.print(_queues(overview["queues"]))
    if overview["workers"]:
        console.print()
        console.print(_workers(overview["workers"]))
    else:
        console.print(f"Nobody works here yet: callboard worker {where} MODULE:CLASS", soft_wrap=True)


def _headline(where: str, overview: dict[str, Any]) -> Text:
    workers, running = len(overview["workers"]), overview["at_workers"]
    waiting = overview["open"] - overview["ready"] - running
    counts = {"at workers": running, "ready": overview["ready"], "waiting": waiting}
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    tasks = f"{overview['open']:,} open tasks" if overview["open"] != 1 else "1 open task"
    return Text.assemble((where, "bold"), f"  {workers} worker{'' if workers == 1 else 's'}, {tasks}", f" ({told})" if told else "")


def _queues(queues: list[dict[str, Any]]) -> Table:
    table = Table("ready tasks need", box=None, pad_edge=False)
    table.add_column("ready", justify="right")
    table.add_column("who could", justify="right")
    for queue in sorted(queues, key=lambda queue: -queue["ready"]):
        capable = str(queue["capable"]) if queue["capable"] else Text("nobody", "bold red")
        table.add_row(queue["needs"], f"{queue['ready']:,}", capable)
    return table


def _workers(workers: list[dict[str, Any]]) -> Table:
    table = Table("worker", "role", "skills", "busy", box=None, pad_edge=False)
    for heading in ("pid", "host", "for"):
        table.add_column(heading, justify="right" if heading != "host" else "left")
    now = time.time()
    for worker in workers:
        skills = " ".join(f"{tag}={level}" for tag, level in sorted(worker["skills"].items()))
        table.add_row(
            worker["name"], worker["role"], skills, _busy(worker), str(worker["pid"]), worker["host"], _duration(now - worker["since"])
        )
    return table


def _busy(worker: dict[str, Any]) -> Text:
    """As many blocks as slots are taken, where they can be counted at a glance."""
    load, slots = worker["load"], worker["slots"]
    taken = min(load, slots)
    numbers = f"{taken}/{slots}" + (f" +{load - slots}" if load > slots else "")
    bar = "█" * taken + "░" * (slots - taken) + " " if slots <= 16 else ""
    return Text(bar + numbers, "green" if taken else "dim")


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def dump(address: AddressArgument, as_json: JsonOption = False, key: KeyOption = None) -> None:
    """Show where each worker's Python stands."""
    with connect(address, key=key) as connection:
        rows = connection.task_manager.dump()
    if as_json:
        print_json(rows)
        return
    console = Console(highlight=False, soft_wrap=True)
    for row in rows:
        console.print(Text(f"{row['name']} (pid {row['pid']} on {row['host']})", "bold"))
        text = row["text"] if row["text"] is not None else "no answer within 2 s: it is busy in code that never lets Python go on\n"
        console.print(Text(text))
