"""Topics and patterns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.events import Pattern, check_topic
from callboard.messages.errors import InvalidSetting

WORDS = st.lists(st.text("abcxyz_-09äß", min_size=1, max_size=5), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("pattern", "topic", "meant"),
    [
        ("task.completed", "task.completed", True),
        ("task.completed", "task.completed.late", False),
        ("task.*", "task.completed", True),
        ("task.*", "task.progress.half", True),
        ("task.*", "task", False),
        ("task.*", "tasks.completed", False),
        ("group.inner.*", "group.inner.completed", True),
        ("group.inner.*", "group.completed", False),
        ("*", "anything", True),
        ("*", "any.thing", True),
    ],
)
def test_which_topics_a_pattern_means(pattern: str, topic: str, meant: bool) -> None:
    assert Pattern(pattern).matches(topic) is meant


@pytest.mark.parametrize(("pattern", "prefix"), [("task.completed", "task.completed"), ("task.*", "task."), ("*", "")])
def test_the_prefix_that_every_match_begins_with(pattern: str, prefix: str) -> None:
    assert Pattern(pattern).prefix == prefix


@given(WORDS, WORDS)
def test_a_match_always_begins_with_the_prefix(words: list[str], others: list[str]) -> None:
    topic, stem = ".".join(words), ".".join(others)
    assert check_topic(topic) == topic
    for pattern in (Pattern(topic), Pattern(f"{stem}.*"), Pattern("*")):
        assert not pattern.matches(topic) or topic.startswith(pattern.prefix)
    assert Pattern(f"{stem}.*").matches(topic) is (len(words) > len(others) and words[: len(others)] == others)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is empty"),
        (".", "has an empty word"),
        ("task.", "has an empty word"),
        (".task", "has an empty word"),
        ("a..b", "has an empty word"),
        ("a b", "has a space"),
        ("a\n", "has a space or a character that cannot be printed"),
        ("*.completed", r"has a '\*' in the wrong place"),
        ("task*", r"has a '\*' in the wrong place"),
        ("x" * 256, "has 256 characters"),
        (7, "is no text"),
        (None, "is no text"),
    ],
)
def test_what_is_no_topic_is_no_pattern_either(text: str, fault: str) -> None:
    with pytest.raises(InvalidSetting, match=f"^topic .* {fault}"):
        check_topic(text)
    with pytest.raises(InvalidSetting, match=f"^topic pattern .* {fault}"):
        Pattern(text)


@pytest.mark.parametrize("text", ["*", "task.*"])
def test_a_pattern_is_no_topic(text: str) -> None:
    with pytest.raises(InvalidSetting):
        check_topic(text)


@pytest.mark.parametrize("text", [".*", "a..*", "*.*", "a.*.*", "**"])
def test_a_wildcard_stands_alone_or_at_the_end(text: str) -> None:
    with pytest.raises(InvalidSetting, match="topic pattern"):
        Pattern(text)
