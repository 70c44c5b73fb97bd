"""Rules that start a task when an event happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from callboard.actors.dispatch.command import Notice
from callboard.actors.dispatch.entry import Held, Rare
from callboard.actors.dispatch.value import Values
from callboard.events.chain import Chain
from callboard.events.topic import Pattern
from callboard.events.where import matches
from callboard.messages.errors import ChainTooDeep
from callboard.messages.event import Event
from callboard.messages.task import Submission, fresh_id


class Rule(NamedTuple):
    """Start a copy of ``template`` for ``client`` whenever an event of ``pattern`` fits ``where``."""

    rule_id: str
    pattern: Pattern
    where: Mapping[str, Any]
    template: Submission
    client: str


class RuleBook:
    """The rules in force."""

    def __init__(self, max_chain: int, values: Values) -> None:
        self._max_chain = max_chain
        self._values = values
        self._rules: dict[str, Rule] = {}
        self._heeding: dict[str, list[Rule]] = {}
        self._crowd = 0  # how many open tasks were started by a rule that had caused its own event

    def add(self, rule: Rule) -> None:
        """Put a rule in force. Raises `UnknownValue`."""
        self._values.use(rule.template)
        self.drop(rule.rule_id)
        self._rules[rule.rule_id] = rule
        self._heeding.clear()

    def drop(self, rule_id: str) -> None:
        """Take a rule out of force; unknown ones are no error."""
        rule = self._rules.pop(rule_id, None)
        if rule is not None:
            self._values.release(rule.template)
        self._heeding.clear()

    def drop_client(self, client: str) -> None:
        """Take out all rules of a client that has gone."""
        for rule_id in [rule_id for rule_id, rule in self._rules.items() if rule.client == client]:
            self.drop(rule_id)

    def templates(self) -> list[Submission]:
        """What the rules in force will start."""
        return [rule.template for rule in self._rules.values()]

    def heed(self, topic: str) -> bool:
        """Whether any rule looks at the topic."""
        return bool(self._rules) and bool(self._of(topic))

    def _of(self, topic: str) -> list[Rule]:
        known = self._heeding.get(topic)
        if known is None:
            if len(self._heeding) > 10_000:
                self._heeding.clear()
            known = self._heeding[topic] = [rule for rule in self._rules.values() if rule.pattern.matches(topic)]
        return known

    def fire(self, notice: Notice, cause: Rare) -> list[Held]:
        """What the rules start on an event that a task of this rare part caused, in the order in which they were made.

        What would go on for ever is refused. The first refusal among all that comes from one first cause is a task that
        is to fail with `ChainTooDeep` and starts nothing itself; after it the refused are left out without a word.
        """
        if cause.refusal is not None:
            return []
        chain = cause.chain or Chain()
        event = cast(Event, notice)  # it has all the fields that a mapping can ask for
        started = [self._follow_on(rule, notice, chain) for rule in self._of(notice.topic) if matches(event, rule.where)]
        return [held for held in started if held is not None]

    def _follow_on(self, rule: Rule, notice: Notice, chain: Chain) -> Held | None:
        template = rule.template
        rare = Rare()
        rare.event = describe(notice)
        try:
            rare.chain = chain.follow(rule.rule_id, self._max_chain, template.name, notice.topic, self._crowd)
        except ChainTooDeep as error:
            rare.refusal = error
            refused = Submission(fresh_id(), template.name, template.spec, template.payload)
            return Held(refused, rule.client, rare) if chain.first_refusal() else None
        rare.rich = notice.rich
        self._crowd += rare.chain.again
        submission = Submission(
            fresh_id(), template.name, template.spec, template.payload, template.dependencies, template.code, fallback=template.fallback
        )
        submission.shares = template.shares
        return Held(submission, rule.client, rare)

    def ended(self, rare: Rare) -> None:
        """A task that a rule started has ended, or was never begun."""
        if rare.chain is not None:
            self._crowd -= rare.chain.again


def describe(notice: Notice) -> dict[str, Any]:
    """An event as plain values, as a follow-on task finds it in its metadata."""
    return {
        "topic": notice.topic,
        "time": notice.time,
        "task_id": notice.task_id,
        "name": notice.name,
        "worker": notice.worker,
        "data": dict(notice.data),
    }
