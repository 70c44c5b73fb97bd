"""What the manager remembers of each peer, and its messages to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from callboard.actors.dispatch.entry import NOTHING_RARE, Entry
from callboard.actors.dispatch.ledger import Ledger
from callboard.actors.sequence import Heard, Kept
from callboard.messages.codec import Packed, columns, encode, pack, weight
from callboard.messages.errors import WireError
from callboard.messages.failure import Failure
from callboard.messages.spec import TaskSpec
from callboard.messages.task import Submission
from callboard.messages.wire import Assign, Deliver, Outcomes, Submit

MAX_SPECS = 20_000
"""How many specs are told to one worker before they are told anew, so that neither side's table grows without end."""
MAX_UNACKNOWLEDGED = 256 * 1024 * 1024
"""Bytes of results that are kept for a client that does not acknowledge them; the oldest go first."""


class Missed(Exception):
    """A message refers to an earlier one, which did not come: the connection was cut between."""


class Peer:
    """One connected worker or client."""

    def __init__(self, identity: str, kind: Literal["worker", "client"], name: str, token: str | None, user: str | None) -> None:
        self.identity = identity
        self.address = identity.encode("latin-1")
        self.kind = kind
        self.name = name
        self.token = token
        self.user = user  # the public key that it has proved
        self.reports = Heard()
        self.hello = 0  # the number of the newest
        self.rejoining = False  # it was asked to say hello again
        self.unreachable = False
        self.unreachable_since = 0.0
        self._unacknowledged = 0
        self._deliveries: Kept[list[Any]] = Kept()
        self._specs: dict[int, TaskSpec] = {}  # by its own numbers
        self._known_specs: set[int] = set()  # by ours
        self._known_codes: set[str] = set()
        self._known_values: set[str] = set()

    @property
    def acked(self) -> int:
        """The number of its last report that was taken."""
        return self.reports.upto

    @property
    def settled(self) -> int:
        """The number of the last delivery that need not be said again."""
        return self._deliveries.settled

    def reconnected(self) -> list[list[Any]]:
        """It may have missed anything: what it knows is told anew; returns the deliveries to be sent again."""
        self.unreachable = self.rejoining = False
        self.missed()
        self._specs.clear()
        return list(self._deliveries)

    def missed(self) -> None:
        """An assignment was not sent, or did not come: what it told is told again by the next."""
        self._known_specs.clear()
        self._known_codes.clear()
        self._known_values.clear()

    def acknowledged(self, number: int) -> None:
        """It has all deliveries up to this one."""
        for frames in self._deliveries.acknowledged(number):
            self._unacknowledged -= sum(map(len, frames))

    # -- to a worker ------------------------------------------------------------------------

    def assign(self, entries: Sequence[Entry], epoch: str, ledger: Ledger, codes: Mapping[str, bytes], now: float) -> list[Any]:
        """The message that assigns these tasks, with what they need and the worker has not seen yet."""
        ids: list[str] = []
        names: list[str] = []
        numbers: list[int] = []
        fences: list[int] = []
        times: list[int] = []
        payloads: list[Packed] = []
        special: list[tuple[int, Entry]] = []
        for row, entry in enumerate(entries):  # one loop: a comprehension for each column takes longer
            ids.append(entry.task_id)
            names.append(entry.name)
            numbers.append(entry.category.number)
            fences.append(entry.fence)
            times.append(entry.submitted)
            payloads.append(entry.payload)  # type: ignore[arg-type]
            if entry.attempts or entry.dependencies or entry.submission is not None or entry.rare is not NOTHING_RARE:
                special.append((row, entry))
        more = self._particulars(special, ledger, payloads, now) if special else {}
        if not self._known_specs.issuperset(numbers):
            more |= self._introduce(entries, codes, payloads)
        laid = columns(payloads)
        message = Assign(
            epoch=epoch,
            acked=self.reports.upto,
            ids=ids,
            names=names,
            spec_of=numbers,
            fences=fences,
            times=times,
            sizes=laid.sizes,
            large=laid.large,
            **more,
        )
        return encode(message, laid.frames)

    def _particulars(self, special: list[tuple[int, Entry]], ledger: Ledger, payloads: list[Packed], now: float) -> dict[str, Any]:
        """The columns that only few tasks have something in; what they carry is added to ``payloads``."""
        told: dict[str, Any] = {}
        dependents: dict[int, tuple[str, ...]] = {}
        rich: dict[int, Packed] = {}
        for row, entry in special:
            rare = entry.rare
            if entry.attempts:
                told.setdefault("attempts", {})[row] = entry.attempts + 1
            if rare.failures:
                told.setdefault("failures", {})[row] = rare.failures
                told.setdefault("elapsed", {})[row] = now - (rare.begun or now)
            if entry.dependencies:
                dependents[row] = entry.dependencies
            if rare.event is not None:
                told.setdefault("events", {})[row] = rare.event
            if rare.rich is not None:
                rich[row] = rare.rich
        if dependents:
            told["inputs"], told["needs"] = self._inputs(dependents, ledger.entries, payloads)
        if rich:
            told["rich"] = {row: len(payloads) + index for index, row in enumerate(rich)}
            payloads += rich.values()
        values = self._introduce_values(special)
        if values:
            told["values"] = values
            payloads += map(ledger.values.packed, values)
        return told

    def _introduce(self, entries: Sequence[Entry], codes: Mapping[str, bytes], payloads: list[Packed]) -> dict[str, Any]:
        """The columns for what the worker has not been told of the specs of these tasks, and of the code in those."""
        told: dict[str, Any] = {}
        if len(self._known_specs) >= MAX_SPECS:
            self._known_specs.clear()
            told["anew"] = True
        new = {entry.category.number: entry.category.spec for entry in entries if entry.category.number not in self._known_specs}
        self._known_specs.update(new)
        told["specs"] = new
        digests = list({spec.code for spec in new.values() if spec.code is not None} - self._known_codes)
        if digests:
            self._known_codes.update(digests)
            payloads += [pack(codes[digest]) for digest in digests]
            told["codes"] = digests
        return told

    def _introduce_values(self, special: list[tuple[int, Entry]]) -> list[str]:
        """The shared values that these tasks use and the worker has not been sent."""
        used = {value_id: None for _, entry in special if entry.submission is not None for value_id in entry.submission.shares}
        new = [value_id for value_id in used if value_id not in self._known_values]
        self._known_values.update(new)
        return new

    def _inputs(
        self, dependents: dict[int, tuple[str, ...]], ledger: Mapping[str, Entry], payloads: list[Packed]
    ) -> tuple[Outcomes, dict[int, list[int]]]:
        rows: dict[str, int] = {}
        for ids in dependents.values():
            for task_id in ids:
                rows.setdefault(task_id, len(rows))
        needs = {row: [rows[task_id] for task_id in ids] for row, ids in dependents.items()}
        return outcomes([ledger[task_id] for task_id in rows], payloads), needs

    def forget(self, value_ids: list[str]) -> list[str]:
        """These shared values are no longer needed; returns those that the worker has."""
        known = [value_id for value_id in value_ids if value_id in self._known_values]
        self._known_values.difference_update(known)
        return known

    def forget_codes(self, digests: list[str]) -> list[str]:
        """This code is no longer kept; returns what the worker has of it."""
        known = [digest for digest in digests if digest in self._known_codes]
        if known:
            self._known_codes.difference_update(known)
            self._known_specs.clear()  # code goes with the first telling of a spec
        return known

    # -- to a client ------------------------------------------------------------------------

    def deliver(self, entries: Sequence[Any]) -> list[Any]:
        """The message that delivers these outcomes; kept until it is acknowledged."""
        payloads: list[Packed] = []
        told = outcomes(entries, payloads)
        laid = columns(payloads)
        frames = encode(Deliver(number=self._deliveries.next, outcomes=told, sizes=laid.sizes, large=laid.large), laid.frames)
        self._deliveries.add(frames)
        self._unacknowledged += sum(map(len, frames))
        while self._unacknowledged > MAX_UNACKNOWLEDGED and len(self._deliveries) > 1:
            self._unacknowledged -= sum(map(len, self._deliveries.let_go()))
        return frames

    # -- from a client ----------------------------------------------------------------------

    def submissions(self, message: Submit, payloads: list[Packed], codes: dict[str, bytes]) -> list[Submission]:
        """The tasks of a message. Raises `WireError` where it refers to what cannot be there, `Missed` where to what is not."""
        self._specs.update(message.specs or {})
        if not self._specs.keys() >= set(message.spec_of):
            raise Missed
        rows = len(message.ids)
        digests = message.codes or []
        if len(payloads) < rows + len(digests):
            raise WireError("a submit with fewer payloads than tasks")
        for digest, blob in zip(digests, payloads[len(payloads) - len(digests) :], strict=True):
            codes[digest] = blob if isinstance(blob, bytes) else b"".join(frame.bytes for frame in blob.frames)
        try:
            made = [
                Submission(task_id, name, self._specs[number], payload, given_id=message.ask is not None)
                for task_id, name, number, payload in zip(message.ids, message.names, message.spec_of, payloads[:rows], strict=True)
            ]
            for row, ids in (message.dependencies or {}).items():
                made[row].dependencies = tuple(ids)
            for row in message.dependencies_sent or ():
                made[row].dependencies_sent = True
            for row, value_ids in (message.shares or {}).items():
                made[row].shares = tuple(value_ids)
            for row, key in (message.keys or {}).items():
                made[row].idempotency_key = key
            for row, index in (message.fallback_values or {}).items():
                made[row].fallback = payloads[index]
            for row, index in (message.fallback_tasks or {}).items():
                made[row].fallback = made[index]
        except (KeyError, IndexError) as error:
            raise WireError(f"a submit that refers to what was not sent: {error}") from None
        if any(submission.spec.code is not None and submission.spec.code not in codes for submission in made):
            raise Missed
        held = set((message.fallback_tasks or {}).values())
        return [submission for row, submission in enumerate(made) if row not in held]


def burden(entry: Entry, ledger: Ledger, counted: set[str]) -> int:
    """What a task to be assigned weighs in a message; shared values that are ``counted`` already weigh nothing."""
    weighs = weight(entry.payload)  # type: ignore[arg-type]
    for task_id in entry.dependencies:
        weighs += 100 + weight(ledger.entries[task_id].output)
    submission = entry.submission
    if submission is not None:
        weighs += sum(weight(ledger.values.packed(value_id)) for value_id in submission.shares if value_id not in counted)
        counted.update(submission.shares)
    return weighs if entry.rare.event is None else weighs + 4096 + weight(entry.rare.rich)


def weigh_outcome(entry: Any) -> int:
    """What the ending of a task weighs in a message."""
    weighs = weight(entry.output)
    if entry.error is None:
        return weighs
    return weighs + len(entry.error) + (0 if entry.failure is None else entry.failure.size)


def outcomes(entries: Sequence[Any], payloads: list[Packed]) -> Outcomes:
    """How these tasks ended, as columns; their outputs are added to ``payloads``."""
    ids: list[str] = []
    names: list[str] = []
    statuses: list[str] = []
    workers: list[str | None] = []
    attempts: list[int] = []
    micros: list[int] = []
    indexes: list[int] = []
    errors: dict[int, str] = {}
    failures: dict[int, Failure] = {}
    for row, entry in enumerate(entries):  # one loop: a comprehension for each column takes longer
        ids.append(entry.task_id)
        names.append(entry.name)
        statuses.append(entry.status._value_)  # ``value`` is two calls of Python
        workers.append(entry.worker_name)
        attempts.append(entry.attempts)
        micros.append(entry.micros)
        if entry.output is None:
            indexes.append(-1)
        else:
            indexes.append(len(payloads))
            payloads.append(entry.output)
        if entry.error is not None:
            errors[row] = entry.error
            if entry.failure is not None:
                failures[row] = entry.failure
    return Outcomes(
        ids=ids,
        names=names,
        statuses=statuses,
        workers=workers,
        attempts=attempts,
        micros=micros,
        payloads=indexes,
        errors=errors or None,
        failures=failures or None,
    )


def keep_codes(submissions: Iterable[Submission], codes: dict[str, bytes]) -> None:
    """Remember the code that tasks and their fallbacks carry, for the workers that will need it."""
    for submission in submissions:
        code, fallback = submission.code, submission.fallback
        if code is not None and code.digest not in codes:
            codes[code.digest] = code.blob
        if type(fallback) is Submission:
            keep_codes([fallback], codes)
