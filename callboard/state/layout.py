"""How the log book lies in a store: which key holds what, and records as lines of JSON.

A record is a line of small fields and one line for every value it holds. So a value is copied into a record as it
is, and lies there undecoded until somebody asks for it. Encoders write no line break inside a line.

    head/RUN                what changes with every write: status, version fence, length of the history
    run/RUN/flow            what a run began with
    run/RUN/atom/NAME       one atom
    run/RUN/history/N       the changes of one transaction, from sequence number N on
    run/RUN/value/NAME      a value stored on the way
    run/RUN/signal/NAME     what somebody said to the run
    book/ID                 a log book
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from callboard.messages.failure import Failure
from callboard.state.record import AtomRecord, Factory, FlowRecord, HistoryRow, LogBook, RetryAttempt
from callboard.state.value import StoredValue


def part(name: str) -> str:
    """A name as one part of a key: no slash and no NUL in it, and no two names alike."""
    if "%" in name or "/" in name or "\0" in name:
        return name.replace("%", "%25").replace("/", "%2F").replace("\0", "%00")
    return name


def whole(text: str) -> str:
    """The name of which `part` made ``text``."""
    return text.replace("%00", "\0").replace("%2F", "/").replace("%25", "%") if "%" in text else text


def head_key(run_id: str) -> str:
    return f"head/{part(run_id)}"


def parse_head(data: bytes) -> dict[str, Any]:
    """The fields of a head: name, book, status, created, updated, sequence."""
    head: dict[str, Any] = json.loads(data)
    return head


def run_key(run_id: str, rest: str = "") -> str:
    return f"run/{part(run_id)}/{rest}"


def history_part(sequence: int) -> str:
    """The end of the key of the history from a sequence number on, behind that of its run."""
    return f"history/{sequence:012d}"


def book_key(book_id: str) -> str:
    return f"book/{part(book_id)}"


def lines_of(header: Mapping[str, Any], values: Mapping[str, str]) -> bytes:
    """A record: the small fields and the names of its values on the first line, the values on a line each."""
    first = to_json({**header, "lines": list(values)})
    return b"\n".join((first, *(value.encode() for value in values.values()))) if values else first


def read_lines(data: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """The small fields and the values of a record."""
    first, *rest = data.decode().split("\n")
    header: dict[str, Any] = json.loads(first)
    return header, dict(zip(header.pop("lines"), rest, strict=True))


def _stored(values: Mapping[str, str], name: str) -> StoredValue | None:
    return StoredValue(values[name]) if name in values else None


def _failure(values: Mapping[str, str], name: str) -> Failure | None:
    return Failure.model_validate_json(values[name]) if name in values else None


def read_atom(run_id: str, data: bytes) -> AtomRecord:
    header, values = read_lines(data)
    return AtomRecord(
        run_id=run_id,
        **header,
        result=_stored(values, "result"),
        failure=_failure(values, "failure"),
        revert_result=_stored(values, "revert_result"),
        revert_failure=_failure(values, "revert_failure"),
        history=_read_attempts(values.get("history", "[]")),
        meta=_stored(values, "meta"),
    )


def write_attempts(history: Sequence[RetryAttempt]) -> str:
    return to_json([[attempt.value.text, _texts(attempt.failures)] for attempt in history]).decode()


def _texts(failures: Mapping[str, Failure]) -> dict[str, str]:
    return {atom: failure.model_dump_json() for atom, failure in failures.items()}


def _read_attempts(text: str) -> tuple[RetryAttempt, ...]:
    return tuple(
        RetryAttempt(value=StoredValue(value), failures={atom: Failure.model_validate_json(failure) for atom, failure in failures.items()})
        for value, failures in json.loads(text)
    )


def write_flow(flow: FlowRecord) -> bytes:
    """What of a flow record does not change with every write; the rest stands in the head."""
    values = {"meta": flow.meta.text}
    if flow.factory is not None:
        values |= {"args": flow.factory.args.text, "kwargs": flow.factory.kwargs.text}
    values |= {f"input:{name}": value.text for name, value in flow.inputs.items()}
    return lines_of({"atoms": flow.atoms, "factory": flow.factory.name if flow.factory else None}, values)


def read_flow(run_id: str, head: Mapping[str, Any], data: bytes) -> FlowRecord:
    header, values = read_lines(data)
    factory = None
    if header["factory"] is not None:
        factory = Factory(name=header["factory"], args=StoredValue(values["args"]), kwargs=StoredValue(values["kwargs"]))
    return FlowRecord(
        id=run_id,
        name=head["name"],
        book=head["book"],
        status=head["status"],
        created=head["created"],
        updated=head["updated"],
        factory=factory,
        inputs={name.removeprefix("input:"): StoredValue(text) for name, text in values.items() if name.startswith("input:")},
        atoms=tuple(header["atoms"]),
        meta=StoredValue(values["meta"]),
    )


def read_history(run_id: str, data: bytes) -> list[HistoryRow]:
    first, time, rows = json.loads(data)
    return [
        HistoryRow(
            run_id=run_id,
            sequence=first + index,
            time=time,
            atom=atom,
            old=old,
            new=new,
            details=None if details is None else StoredValue(details),
        )
        for index, (atom, old, new, details) in enumerate(rows)
    ]


def write_book(book: LogBook) -> bytes:
    return lines_of({"id": book.id, "name": book.name, "created": book.created}, {"meta": book.meta.text})


def read_book(data: bytes) -> LogBook:
    header, values = read_lines(data)
    return LogBook(**header, meta=StoredValue(values["meta"]))
