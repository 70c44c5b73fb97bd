"""A client's side of the conversation with a manager, without a socket: what to send, and what has come.

A `ClientLink` has one, and so has every worker, since tasks may submit tasks.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from callboard.actors.greeting import Greeting
from callboard.actors.sequence import Heard, Verdict
from callboard.messages.codec import Packed, columns, encode, pack, portions, weight
from callboard.messages.errors import CallboardError, TaskFailed
from callboard.messages.failure import Failure
from callboard.messages.spec import TaskSpec
from callboard.messages.status import STATUSES, TaskStatus
from callboard.messages.task import Submission
from callboard.messages.wire import Ack, Answer, AnyMessage, Ask, Deliver, Drop, Outcomes, Put, Submit, Terms, at

Send = Callable[[list[Any]], None]

MAX_SPECS = 20_000
"""How many specs are told before they are told anew, so that neither side's table grows without end."""
MAX_DROPPED = 1000
"""How many dropped values are dropped again after a reconnect, since it may not have been heard."""
MAX_CODES = 20_000
"""How much code is taken to be known to the manager before it is told anew."""


class Settled(NamedTuple):
    """How a task ended, as it came over the wire."""

    task_id: str
    name: str
    status: TaskStatus
    output: Packed | None
    error: str | None
    failure: Failure | None
    worker_name: str | None
    attempts: int
    micros: int


class Question(NamedTuple):
    """An order or a question, and where its answer goes. ``about``: the id of the task, rule or value that it goes with, in
    a message of its own kind."""

    what: str
    arguments: dict[str, Any]
    answer: Future[Any]
    about: str | None = None


def settled(outcomes: Outcomes, payloads: Sequence[Packed]) -> list[Settled]:
    """The rows of received outcomes."""
    rows = zip(
        outcomes.ids,
        outcomes.names,
        outcomes.statuses,
        outcomes.workers,
        outcomes.attempts,
        outcomes.micros,
        outcomes.payloads,
        strict=True,
    )
    return [
        Settled(
            task_id,
            name,
            STATUSES[status],
            payloads[index] if index >= 0 else None,
            at(outcomes.errors, row),
            at(outcomes.failures, row),
            worker,
            attempts,
            micros,
        )
        for row, (task_id, name, status, worker, attempts, micros, index) in enumerate(rows)
    ]


class Uplink:
    """Keeps what was submitted until its result has come, and says it again after a reconnect. One thread at a time.

    Between a hello and its welcome (see ``greeting``) it only keeps: all of it is said once the manager has taken us in.
    """

    def __init__(self, send: Send, deliver: Callable[[Sequence[Any]], None], greeting: Greeting) -> None:
        self._send = send
        self._deliver = deliver
        self._greeting = greeting
        self._heard = Heard()
        self._open: dict[str, Submission] = {}
        self._spec_numbers: dict[int, tuple[int, TaskSpec]] = {}
        self._codes: set[str] = set()
        self._numbers = itertools.count(1)
        self._questions: dict[int, Question] = {}
        self._rules: dict[str, tuple[Terms, Submission]] = {}
        self._values: dict[str, Packed] = {}
        self._dropped: deque[str] = deque(maxlen=MAX_DROPPED)
        self._unsaid: set[str] = set()
        """Tasks with a question that no manager can have heard of yet."""

    def submit(self, submissions: Sequence[Submission], again: bool = False, ask: int | None = None) -> None:
        """Send tasks to the manager, in as few messages as they fit in."""
        for submission in submissions:
            self._open[submission.task_id] = submission
        if self._greeting.answered:
            for portion in portions(submissions, burden):
                self._send_tasks(portion, again=again, ask=ask)

    def add_rule(self, terms: Terms, template: Submission, answer: Future[Any]) -> None:
        """Have events start a task, now and after every reconnect."""
        self._rules[terms.rule_id] = terms, template
        number = next(self._numbers)
        self._questions[number] = Question("add_rule", {}, answer, terms.rule_id)
        if self._greeting.answered:
            self._send_tasks([template], ask=number, rule=terms)

    def drop_rule(self, rule_id: str, answer: Future[Any]) -> None:
        """Have them start it no longer."""
        self._rules.pop(rule_id, None)
        self.ask(Question("drop_rule", {"rule_id": rule_id}, answer))

    def put(self, value_id: str, packed: Packed, answer: Future[Any]) -> None:
        """Have the manager keep a value, now and after every reconnect."""
        self._values[value_id] = packed
        number = next(self._numbers)
        self._questions[number] = Question("put", {}, answer, value_id)
        if not self._greeting.answered:
            return
        laid = columns([packed])
        self._send(encode(Put(id=value_id, ask=number, sizes=laid.sizes, large=laid.large), laid.frames))

    def drop(self, value_id: str) -> None:
        """Have it keep the value no longer than tasks need it."""
        if self._values.pop(value_id, None) is None:
            return
        self._dropped.append(value_id)
        if self._greeting.answered:
            self._send(encode(Drop(ids=[value_id])))

    def _send_tasks(
        self, submissions: Sequence[Submission], again: bool = False, ask: int | None = None, rule: Terms | None = None
    ) -> None:
        # A held fallback task is a row of its own.
        rows = list(submissions)
        fallback_tasks: dict[int, int] = {}
        for row, submission in enumerate(submissions):
            if isinstance(submission.fallback, Submission):
                fallback_tasks[row] = len(rows)
                rows.append(submission.fallback)
        payloads: list[Packed] = [pack(row.payload) for row in rows]
        fallback_values: dict[int, int] = {}
        for row, submission in enumerate(submissions):
            if submission.fallback is not None and not isinstance(submission.fallback, Submission):
                fallback_values[row] = len(payloads)
                payloads.append(pack(submission.fallback))
        if len(self._spec_numbers) + len(rows) > MAX_SPECS:
            self._spec_numbers.clear()  # their numbers mean others from here on
        new_codes = {row.code.digest: row.code.blob for row in rows if row.code is not None and row.code.digest not in self._codes}
        if len(self._codes) > MAX_CODES:
            self._codes.clear()
        self._codes.update(new_codes)
        specs: dict[int, TaskSpec] = {}
        spec_of = [self._spec_number(row.spec, specs) for row in rows]
        laid = columns([*payloads, *(pack(blob) for blob in new_codes.values())])
        message = Submit(
            ids=[row.task_id for row in rows],
            names=[row.name for row in rows],
            spec_of=spec_of,
            specs=specs or None,
            dependencies={index: list(row.dependencies) for index, row in enumerate(rows) if row.dependencies} or None,
            dependencies_sent=[index for index, row in enumerate(rows) if row.dependencies_sent] or None,
            shares={index: list(row.shares) for index, row in enumerate(rows) if row.shares} or None,
            keys={index: row.idempotency_key for index, row in enumerate(rows) if row.idempotency_key is not None} or None,
            fallback_values=fallback_values or None,
            fallback_tasks=fallback_tasks or None,
            codes=list(new_codes) or None,
            again=again,
            ask=ask,
            rule=rule,
            sizes=laid.sizes,
            large=laid.large,
        )
        self._send(encode(message, laid.frames))

    def _spec_number(self, spec: TaskSpec, new: dict[int, TaskSpec]) -> int:
        known = self._spec_numbers.get(id(spec))
        if known is None:
            known = self._spec_numbers[id(spec)] = len(self._spec_numbers), spec  # the spec is kept, and so its id()
            new[known[0]] = spec
        return known[0]

    def submit_asking(self, submission: Submission, answer: Future[Any]) -> None:
        """Send one task and learn whether it was accepted."""
        if not self._greeting.answered:
            self._unsaid.add(submission.task_id)
        self._ask_submitting(submission, answer)

    def _ask_submitting(self, submission: Submission, answer: Future[Any], again: bool = False) -> None:
        number = next(self._numbers)
        self._questions[number] = Question("submit", {}, answer, submission.task_id)
        self.submit([submission], again=again, ask=number)

    def ask(self, question: Question) -> None:
        """Send a question."""
        number = next(self._numbers)
        self._questions[number] = question
        if self._greeting.answered:
            self._send(encode(Ask(number=number, what=question.what, arguments=question.arguments)))

    def rejoined(self, settled: int) -> None:
        """A manager has taken us in: what has no result is submitted (again), open questions are asked. Deliveries up to
        number ``settled`` do not come any more."""
        self._heard = Heard(settled)
        self._spec_numbers.clear()
        self._codes.clear()
        questions, self._questions = self._questions, {}
        if self._dropped:
            self._send(encode(Drop(ids=list(self._dropped))))
        answers = {(question.what, question.about): question.answer for question in questions.values() if question.about is not None}
        for value_id, packed in list(self._values.items()):
            self.put(value_id, packed, answers.pop(("put", value_id), Future()))
        asked = [submission for task_id, submission in self._open.items() if ("submit", task_id) in answers]
        self.submit([submission for task_id, submission in self._open.items() if ("submit", task_id) not in answers], again=True)
        for submission in asked:
            task_id = submission.task_id
            self._ask_submitting(submission, answers.pop(("submit", task_id)), again=task_id not in self._unsaid)
        self._unsaid.clear()
        for rule_id, (terms, template) in list(self._rules.items()):
            self.add_rule(terms, template, answers.pop(("add_rule", rule_id), Future()))
        for question in questions.values():
            if question.about is None:
                self.ask(question)
        for answer in answers.values():  # about what has ended meanwhile, or is not wanted any more
            _resolve(answer, None)

    def hear(self, message: AnyMessage, payloads: list[Packed]) -> bool:
        """Deal with what is meant for a client; False when it was something else."""
        if isinstance(message, Deliver):
            # What was said before the welcome was numbered, perhaps, by a manager that has forgotten us since.
            if self._greeting.answered and self._heard.take(message.number) is not Verdict.GAP:
                self._send(encode(Ack(number=self._heard.upto)))
            # What comes a second time, after a reconnect, finds nobody who waits for it.
            rows = [row for row in settled(message.outcomes, payloads) if self._open.pop(row.task_id, None) is not None]
            if rows:
                self._deliver(rows)
            return True
        if isinstance(message, Answer):
            question = self._questions.pop(message.number, None)
            if question is not None:
                if message.failure is not None and question.what == "submit" and question.about is not None:
                    self._open.pop(question.about, None)
                _answer(question, message)
            return True
        return False

    def abandon(self, error: CallboardError) -> list[Submission]:
        """The conversation is over: open questions get the error; returns what had no result."""
        questions, self._questions = self._questions, {}
        for question in questions.values():
            if not question.answer.done():
                question.answer.set_exception(error)
        left = list(self._open.values())
        self._open.clear()
        return left

    @property
    def waiting(self) -> int:
        """How many submitted tasks have no result yet."""
        return len(self._open)


def burden(submission: Submission) -> int:
    """What a task weighs in a message."""
    weighs = len(submission.name)
    if type(submission.payload) is not bytes:
        weighs += weight(pack(submission.payload))
    if submission.dependencies:
        weighs += sum(map(len, submission.dependencies))
    if submission.code is not None:
        weighs += len(submission.code.blob) // 4096
    fallback = submission.fallback
    if fallback is not None:
        weighs += burden(fallback) if isinstance(fallback, Submission) else weight(pack(fallback))
    return weighs


def _answer(question: Question, message: Answer) -> None:
    if message.failure is None:
        _resolve(question.answer, message.value)
        return
    error = message.failure.exception()
    if not question.answer.done():
        question.answer.set_exception(error if isinstance(error, CallboardError) else TaskFailed(str(message.failure)))


def _resolve(answer: Future[Any], value: Any) -> None:
    if not answer.done():
        answer.set_result(value)
