"""What the tests of this folder share."""

from __future__ import annotations

import pickle
from typing import Any

from callboard.messages.task import Submission


def opened(submission: Submission) -> Any:
    """The value of a small payload."""
    assert isinstance(submission.payload, bytes)
    return pickle.loads(submission.payload)
