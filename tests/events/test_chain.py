"""The guard against listeners that start each other for ever."""

from __future__ import annotations

import pytest

from callboard.events import next_depth
from callboard.messages.errors import ChainTooDeep


def test_depth_grows_up_to_the_limit() -> None:
    depth = 0
    for _ in range(3):
        depth = next_depth(depth, 3, "the rule", "task.completed")
    assert depth == 3
    with pytest.raises(ChainTooDeep, match=r"the rule, started by 'task.completed', would be number 4 of a chain .* max_chain allows 3"):
        next_depth(depth, 3, "the rule", "task.completed")
