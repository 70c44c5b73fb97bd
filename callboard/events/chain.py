"""The guard against listeners that start each other for ever."""

from __future__ import annotations

from callboard.messages.errors import ChainTooDeep


def next_depth(depth: int, max_chain: int, rule: str, topic: str) -> int:
    """The depth of what ``rule`` starts on an event of ``topic``, when what caused the event had ``depth`` (0: a person did).

    Raises `ChainTooDeep`, naming both, when that would be more than ``max_chain``.
    """
    if depth >= max_chain:
        raise ChainTooDeep(
            f"{rule}, started by {topic!r}, would be number {depth + 1} of a chain in which each was started by the one before; "
            f"max_chain allows {max_chain}. A listener probably causes the event that it listens to: narrow its where"
        )
    return depth + 1
