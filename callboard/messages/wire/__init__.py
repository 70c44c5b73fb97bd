"""What peers say to each other: frozen models, one discriminated union.

A message is a header frame (one of these models as JSON) and the frames of its payloads (see `messages.codec`). What
goes often travels as columns: one model a batch, whose fields are lists of one length, since a model per task costs
more than all the rest. Rare properties are sparse: a mapping from the row's index, absent where no row has any (a model
with six empty mappings costs five times one without). Commands are in the imperative, reports in the past.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, TypeAdapter

from callboard.messages.wire.greeting import PROTOCOL, Goodbye, Hello, Leaving, Probe, Refusal, Rejoin, Welcome
from callboard.messages.wire.message import MAX_ID, MAX_NAME, MAX_ROWS, Carrier, Message, Outcomes, at
from callboard.messages.wire.order import Assign, Dump, Halt, Recall, Watch
from callboard.messages.wire.publication import Beacon, Published, Say
from callboard.messages.wire.question import Answer, Ask
from callboard.messages.wire.report import MAX_DUMP, Dumped, Ending, HandBack, Park, Report
from callboard.messages.wire.submission import Ack, Cancel, Deliver, Drop, Put, Submit, Terms

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

__all__ = [
    "ADAPTER",
    "MAX_DUMP",
    "MAX_ID",
    "MAX_NAME",
    "MAX_ROWS",
    "PROTOCOL",
    "Ack",
    "Answer",
    "AnyMessage",
    "Ask",
    "Assign",
    "Beacon",
    "Cancel",
    "Carrier",
    "Deliver",
    "Drop",
    "Dump",
    "Dumped",
    "Ending",
    "Goodbye",
    "Halt",
    "HandBack",
    "Hello",
    "Leaving",
    "Message",
    "Outcomes",
    "Park",
    "Probe",
    "Published",
    "Put",
    "Recall",
    "Refusal",
    "Rejoin",
    "Report",
    "Say",
    "Submit",
    "Terms",
    "Watch",
    "Welcome",
    "at",
]
