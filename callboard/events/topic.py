"""Topics, and the patterns that a listener names them by."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from callboard.messages.errors import InvalidSetting

MAX_TOPIC = 255
WILDCARD = "*"


@lru_cache(maxsize=4096)
def check_topic(topic: str) -> str:
    """Return ``topic``, or raise `InvalidSetting`: words joined by dots, without spaces or ``*``, at most 255 characters."""
    fault = _fault(topic)
    if fault:
        raise InvalidSetting(f"topic {topic!r} {fault}; write words joined by dots, such as 'order.paid'")
    return topic


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which topics are meant: one by its name, all below one (``task.*``, any number of words deep), or all (``*``).

    Raises `InvalidSetting` for what is none of these.
    """

    text: str
    prefix: str = field(init=False, compare=False, repr=False)
    """What every matching topic begins with; other topics may begin so too."""

    def __post_init__(self) -> None:
        everything = self.text == WILDCARD
        below = isinstance(self.text, str) and self.text.endswith("." + WILDCARD)
        stem = self.text[: -len("." + WILDCARD)] if below else self.text
        fault = "" if everything else _fault(stem)
        if fault:
            raise InvalidSetting(f"topic pattern {self.text!r} {fault}; write a topic, 'task.*' for all below one, or '*' for all")
        prefix = "" if everything else f"{stem}." if below else stem
        object.__setattr__(self, "prefix", prefix)

    def matches(self, topic: str) -> bool:
        """Whether ``topic`` is meant."""
        return topic == self.text if self.prefix == self.text else topic.startswith(self.prefix)


def _fault(topic: object) -> str:
    if not isinstance(topic, str):
        return "is no text"
    if not topic:
        return "is empty"
    if len(topic) > MAX_TOPIC:
        return f"has {len(topic)} characters, more than {MAX_TOPIC}"
    if "" in topic.split("."):
        return "has an empty word"
    if WILDCARD in topic:
        return "has a '*' in the wrong place"
    if " " in topic or not topic.isprintable():
        return "has a space or a character that cannot be printed"
    return ""
