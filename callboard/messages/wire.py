"""What peers say to each other: frozen models, one discriminated union.

A message is a header frame (one of these models as JSON) and the frames of its payloads (see `messages.codec`). What
goes often travels as columns: one model a batch, whose fields are lists of one length, since a model per task costs
more than all the rest. Rare properties are sparse: a mapping from the row's index, absent where no row has any (a model
with six empty mappings costs five times one without). Commands are in the imperative, reports in the past.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from callboard.messages.failure import Failure
from callboard.messages.task import TaskSpec

V = TypeVar("V")

PROTOCOL = 1
MAX_ROWS = 100_000
MAX_ID = 256
MAX_NAME = 1024
MAX_DUMP = 256 * 1024
"""Characters of one worker's stacks."""

Id = Annotated[str, Field(min_length=1, max_length=MAX_ID)]
Name = Annotated[str, Field(max_length=MAX_NAME)]
Rows = Annotated[list[int], Field(max_length=MAX_ROWS)]
Ids = Annotated[list[Id], Field(max_length=MAX_ROWS)]
Names = Annotated[list[Name], Field(max_length=MAX_ROWS)]


class Message(BaseModel):
    """Base of every message. ``COLUMNS`` are fields that must be of one length, which `messages.codec.decode` checks:
    a validator written in Python would cost every sender as well."""

    COLUMNS: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64", allow_inf_nan=False)


def at(sparse: Mapping[int, V] | None, row: int) -> V | None:
    """What a sparse column says of a row, None when nothing."""
    return None if sparse is None else sparse.get(row)


class Carrier(Message):
    """A message with payloads. ``sizes``: bytes of each, those in the joined frame; -1 for one with frames of its own,
    whose buffers' lengths stand in ``large`` (see `messages.codec.Large`)."""

    sizes: Rows | None = None
    large: dict[int, list[int]] | None = None


class Outcomes(Message):
    """How tasks ended, as columns. ``payloads`` is the index of the output among the carrier's payloads, or -1."""

    ids: Ids
    names: Names
    statuses: list[str]
    workers: list[str | None]
    attempts: Rows
    micros: Rows
    payloads: Rows
    errors: dict[int, str] | None = None
    failures: dict[int, Failure] | None = None

    COLUMNS: ClassVar[tuple[str, ...]] = ("ids", "names", "statuses", "workers", "attempts", "micros", "payloads")


# -- joining and leaving ----------------------------------------------------------------------


class Hello(Message):
    """First word of a peer, and again after every reconnect: what it is, and what it runs and holds."""

    kind: Literal["hello"] = "hello"
    protocol: int = PROTOCOL
    python: str
    cloudpickle: str
    peer: Literal["worker", "client"]
    name: Name = ""
    role: Name = ""
    skills: dict[str, int] = {}
    slots: Annotated[int, Field(ge=1, le=65536)] = 1
    pid: int = 0
    host: Name = ""
    token: str | None = None  # names a local child to its supervisor
    epoch: str | None = None  # of the manager it knew before
    ids: Ids = []  # what it runs or has queued
    fences: Rows = []
    leaving: bool = False

    COLUMNS: ClassVar[tuple[str, ...]] = ("ids", "fences")


class Welcome(Message):
    """The manager takes the peer in. ``events`` is where the events are published; None tells to use the same host."""

    kind: Literal["welcome"] = "welcome"
    epoch: str
    manager: Name = ""
    events_endpoint: str | None = None
    events_port: int | None = None
    max_payload: int


class Refusal(Message):
    """The manager will not have the peer, and why; there is no use in trying again."""

    kind: Literal["refusal"] = "refusal"
    reason: str


class Rejoin(Message):
    """The manager does not know the peer (any more): it should say `Hello` again."""

    kind: Literal["rejoin"] = "rejoin"


class Probe(Message):
    """Says nothing; whether it can be sent tells the manager who is there. ``acked`` as in `Assign`."""

    kind: Literal["probe"] = "probe"
    acked: int = 0


class Leaving(Message):
    """The worker takes no new work and ends when what it runs is done."""

    kind: Literal["leaving"] = "leaving"


class Goodbye(Message):
    """The sender ends in order. From the manager it asks a worker to finish what it runs and end."""

    kind: Literal["goodbye"] = "goodbye"


# -- work -------------------------------------------------------------------------------------


class Terms(Message):
    """When a rule starts its task: events of ``pattern`` that fit ``where``."""

    rule_id: Id
    pattern: Name
    where: dict[str, Any] = {}


class Submit(Carrier):
    """Tasks for the manager. Payloads: one a task, then fallback values, then code blobs in the order of ``codes``."""

    kind: Literal["submit"] = "submit"
    ids: Ids
    names: Names
    spec_of: Rows
    specs: dict[int, TaskSpec] | None = None
    dependencies: dict[int, Ids] | None = None
    keys: dict[int, str] | None = None
    given: Rows | None = None
    fallback_values: dict[int, int] | None = None  # row -> index among the payloads
    fallback_tasks: dict[int, int] | None = None  # row -> row of the task that stands in, held until then
    shares: dict[int, Ids] | None = None  # row -> shared values that it uses
    codes: Names | None = None
    again: bool = False  # after a reconnect: what is known already is no duplicate
    ask: int | None = None  # number of a question: is it accepted?
    rule: Terms | None = None  # the one task is not run but kept, to be started by events

    COLUMNS: ClassVar[tuple[str, ...]] = ("ids", "names", "spec_of")


class Assign(Carrier):
    """Tasks for a worker. Payloads: one a task, then outputs of ``inputs``, then shared values in the order of ``values``,
    then code blobs in the order of ``codes``."""

    kind: Literal["assign"] = "assign"
    epoch: str
    acked: int = 0  # the worker's reports up to this number have arrived
    ids: Ids
    names: Names
    spec_of: Rows
    fences: Rows  # number of the assignment: an answer with an older one is dropped
    times: list[int]  # of submission, whole seconds since the epoch
    attempts: dict[int, int] | None = None  # row -> number of the attempt, where it is not the first
    failures: dict[int, int] | None = None  # row -> how many of the earlier ones were the task's own failures
    elapsed: dict[int, float] | None = None  # row -> seconds since the first of them began
    specs: dict[int, TaskSpec] | None = None
    inputs: Outcomes | None = None
    needs: dict[int, Rows] | None = None  # row -> rows of inputs
    events: dict[int, dict[str, Any]] | None = None
    rich: dict[int, int] | None = None  # row -> index among the payloads, of the event's data that are no plain values
    values: Ids | None = None
    codes: Names | None = None

    COLUMNS: ClassVar[tuple[str, ...]] = ("ids", "names", "spec_of", "fences", "times")


class Report(Carrier):
    """How attempts ended. ``number`` counts the worker's reports, which it keeps until they are acknowledged.

    ``endings`` are values of `Ending`. ``again`` is the retry policy's decision, taken where the exception was:
    seconds until the next attempt.
    """

    kind: Literal["report"] = "report"
    epoch: str
    number: int
    ids: Ids
    fences: Rows
    endings: Rows
    micros: Rows
    errors: dict[int, str] | None = None
    failures: dict[int, Failure] | None = None
    again: dict[int, float] | None = None

    COLUMNS: ClassVar[tuple[str, ...]] = ("ids", "fences", "endings", "micros")


class Ending:
    """How one attempt ended, as small integers for a column."""

    COMPLETED = 0
    FAILED = 1
    CANCELLED = 2
    TIMED_OUT = 3


class Put(Carrier):
    """A value, the one payload, that a client's tasks are going to use; ``ask`` is the number of a question: is it there?"""

    kind: Literal["put"] = "put"
    id: Id
    ask: int


class Drop(Message):
    """Shared values that a client has no handle of any more, or that a worker need not keep."""

    kind: Literal["drop"] = "drop"
    ids: Ids


class Recall(Message):
    """Asks a worker to hand back what it has not begun of these (all that is queued when empty)."""

    kind: Literal["recall"] = "recall"
    ids: Ids = []


class HandBack(Message):
    """The worker has not begun these and will not."""

    kind: Literal["hand_back"] = "hand_back"
    epoch: str
    ids: Ids
    fences: Rows

    COLUMNS: ClassVar[tuple[str, ...]] = ("ids", "fences")


class Halt(Message):
    """Asks a worker to stop these attempts; what is not begun is dropped. ``force``: see `Cancel`."""

    kind: Literal["halt"] = "halt"
    ids: Ids
    force: bool = False


class Park(Message):
    """The task waits for other tasks and lends its slot (``parked``), or goes on."""

    kind: Literal["park"] = "park"
    task_id: Id
    parked: bool


class Deliver(Carrier):
    """Results for a client, which acknowledges them by ``number``."""

    kind: Literal["deliver"] = "deliver"
    number: int
    outcomes: Outcomes


class Ack(Message):
    """All up to this number have arrived."""

    kind: Literal["ack"] = "ack"
    number: int


class Cancel(Message):
    """A client wants these cancelled; ``force`` ends the process of a plain function that will not stop."""

    kind: Literal["cancel"] = "cancel"
    ids: Ids
    force: bool = False


# -- events -----------------------------------------------------------------------------------


class Say(Carrier):
    """Something a peer publishes: progress, the start of a task, or a person's own event.

    ``data`` are plain values; with ``rich``, the one payload is a pickled mapping of the others.
    """

    kind: Literal["say"] = "say"
    topic: Name
    task_id: Id | None = None
    time: float
    data: dict[str, Any] = {}
    rich: bool = False


class Watch(Message):
    """Whether anybody listens to the start and the progress of tasks, which a worker tells only then."""

    kind: Literal["watch"] = "watch"
    started: bool
    progress: bool


class Published(Carrier):
    """Events of one topic, as columns; sequences run from ``first``. Payload i is the pickled rich data of row ``rich[i]``."""

    kind: Literal["published"] = "published"
    epoch: str
    topic: Name
    first: int
    times: list[float]
    ids: list[str | None]
    names: list[str | None]
    workers: list[str | None]
    data: list[dict[str, Any]]
    rich: Rows | None = None

    COLUMNS: ClassVar[tuple[str, ...]] = ("times", "ids", "names", "workers", "data")


class Beacon(Message):
    """Where each topic's sequence stands, so that quiet subscribers notice a gap; answers a subscription's ``nonce``."""

    kind: Literal["beacon"] = "beacon"
    epoch: str
    sequences: dict[str, int]


# -- questions --------------------------------------------------------------------------------


class Ask(Message):
    """A question or an order to the manager, by name; rare, so its arguments are a mapping."""

    kind: Literal["ask"] = "ask"
    number: int
    what: Name
    arguments: dict[str, Any] = {}


class Answer(Message):
    """The answer to a question: plain values, or the failure to give one."""

    kind: Literal["answer"] = "answer"
    number: int
    value: Any = None
    failure: Failure | None = None


class Dump(Message):
    """Asks a worker where its Python stands."""

    kind: Literal["dump"] = "dump"
    number: int


class Dumped(Message):
    """What the worker runs, and the stacks of its threads, as text."""

    kind: Literal["dumped"] = "dumped"
    number: int
    text: Annotated[str, Field(max_length=MAX_DUMP)]


AnyMessage = Annotated[
    Hello
    | Welcome
    | Refusal
    | Rejoin
    | Probe
    | Leaving
    | Goodbye
    | Submit
    | Assign
    | Report
    | Put
    | Drop
    | Recall
    | HandBack
    | Halt
    | Park
    | Deliver
    | Ack
    | Cancel
    | Say
    | Watch
    | Published
    | Beacon
    | Ask
    | Answer
    | Dump
    | Dumped,
    Field(discriminator="kind"),
]

ADAPTER: TypeAdapter[AnyMessage] = TypeAdapter(AnyMessage)
