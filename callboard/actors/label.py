"""Names, ids and keys of tasks, as they may travel."""

from __future__ import annotations

from collections.abc import Collection

from callboard.messages.errors import InvalidTask
from callboard.messages.task import Submission
from callboard.messages.wire import MAX_ID, MAX_NAME


def check_labels(submission: Submission) -> None:
    """Raise `InvalidTask` where a name, an id or a key is none that can travel."""
    labels = [("name", submission.name, MAX_NAME), ("id", submission.task_id, MAX_ID)]
    if submission.idempotency_key is not None:
        labels.append(("idempotency_key", submission.idempotency_key, MAX_NAME))
    labels += [("dependency", task_id, MAX_ID) for task_id in submission.dependencies]
    for what, text, limit in labels:
        if len(text) > limit:
            raise InvalidTask(f"the {what} of a task has at most {limit} characters, not {len(text):,}: {text[:50]!r}...")
        if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
            raise InvalidTask(f"the {what} of a task must be text that can be encoded, which {text!r} cannot")


def surely_ids(texts: Collection[str]) -> bool:
    """Whether these, of which there must be one, can travel as ids, without a closer look: short plain texts, as nearly all are."""
    return max(map(len, texts)) <= MAX_ID and all(map(str.isascii, texts))
