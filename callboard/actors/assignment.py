"""From the manager's assignments to attempts, and from their endings to the worker's reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from callboard.actors.attempt import Attempt, Finished
from callboard.actors.uplink import settled
from callboard.messages.codec import Packed, columns, encode, weight
from callboard.messages.spec import TaskSpec
from callboard.messages.wire import Assign, Ending, Report

Specs = dict[int, TaskSpec]
"""What the tasks of one connection have in common, by the numbers that the manager gives them."""


def attempts_of(message: Assign, payloads: Sequence[Packed], specs: Specs, now: float) -> list[Attempt]:
    """What a worker is given to do. ``specs`` has all that the message refers to; ``now`` is on the worker's monotonic clock."""
    inputs = settled(message.inputs, payloads) if message.inputs is not None else []
    rows = zip(message.ids, message.names, message.fences, message.spec_of, message.times, payloads[: len(message.ids)], strict=True)
    attempts = [
        Attempt(task_id, name, fence, specs[number], payload, submitted) for task_id, name, fence, number, submitted, payload in rows
    ]
    for row, number in (message.attempts or {}).items():
        attempts[row].number = number
    for row, failures in (message.failures or {}).items():
        attempts[row].earlier_failures = failures
    for row, elapsed in (message.elapsed or {}).items():
        attempts[row].first_began = now - elapsed
    for row, needed in (message.needs or {}).items():
        attempts[row].inputs = [inputs[index] for index in needed]
    for row, event in (message.events or {}).items():
        attempts[row].event = event
    for row, index in (message.rich or {}).items():
        attempts[row].rich = payloads[index]
    return attempts


def report_of(rows: Sequence[Finished], epoch: str, number: int) -> list[Any]:
    """The frames of a report of these endings."""
    ids: list[str] = []
    fences: list[int] = []
    endings: list[int] = []
    micros: list[int] = []
    outputs: list[Packed] = []
    failed: list[tuple[int, Finished]] = []
    for index, row in enumerate(rows):
        ids.append(row.attempt.task_id)
        fences.append(row.attempt.fence)
        endings.append(row.ending)
        micros.append(row.micros)
        outputs.append(row.output)
        if row.ending != Ending.COMPLETED:
            failed.append((index, row))
    laid = columns(outputs)
    message = Report(
        epoch=epoch,
        number=number,
        ids=ids,
        fences=fences,
        endings=endings,
        micros=micros,
        sizes=laid.sizes,
        large=laid.large,
        **(_of_failures(failed) if failed else {}),
    )
    return encode(message, laid.frames)


def _of_failures(failed: Sequence[tuple[int, Finished]]) -> dict[str, Any]:
    """The columns of a report that only what did not complete has something in."""
    return {
        "errors": {index: row.error for index, row in failed if row.error is not None} or None,
        "failures": {index: row.failure for index, row in failed if row.failure is not None} or None,
        "again": {index: row.again for index, row in failed if row.again is not None} or None,
    }


def burden(finished: Finished) -> int:
    """What an ending weighs in a report."""
    weighs = weight(finished.output)
    if finished.error is not None:
        weighs += len(finished.error)
    return weighs if finished.failure is None else weighs + finished.failure.size
