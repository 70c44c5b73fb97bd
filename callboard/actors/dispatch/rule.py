"""Rules that start a task when an event happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from callboard.actors.dispatch.command import Notice
from callboard.actors.dispatch.entry import Held, Rare
from callboard.actors.dispatch.value import Values
from callboard.events.chain import next_depth
from callboard.events.topic import Pattern
from callboard.events.where import matches
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

    def matching(self, notice: Notice) -> list[Rule]:
        """The rules that an event starts, in the order in which they were made."""
        event = cast(Event, notice)  # it has all the fields that a mapping can ask for
        return [rule for rule in self._of(notice.topic) if matches(event, rule.where)]

    def follow_on(self, rule: Rule, notice: Notice, depth: int) -> Held:
        """The task of one firing: a fresh id, and its event; raises `ChainTooDeep`."""
        next_depth(depth - 1, self._max_chain, rule.template.name, notice.topic)
        template = rule.template
        submission = Submission(
            fresh_id(), template.name, template.spec, template.payload, template.dependencies, template.code, fallback=template.fallback
        )
        submission.shares = template.shares
        rare = Rare()
        rare.depth, rare.event, rare.rich = depth, describe(notice), notice.rich
        return Held(submission, rule.client, rare)


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
