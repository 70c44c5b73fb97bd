"""Asking any retry policy, which may be a person's own."""

from __future__ import annotations

import logging
import math
import random
from typing import Any

logger = logging.getLogger("callboard")


def judged(policy: Any, error: BaseException | None, failures: int, elapsed: float) -> float | None:
    """Seconds from 0 to wait before the next attempt, or None to give up, as ``policy.decide`` says (see `RetryPolicy.decide`).

    A policy that raises, or asks for what is no time that ends, is logged and gives up.
    """
    try:
        delay: float | None = policy.decide(error, failures, elapsed, random.random())
        if delay is None:
            return None
        if math.isfinite(delay):
            return max(float(delay), 0.0)
        logger.error("a retry policy asked for a delay of %r seconds, and so gives up: %r", delay, policy)
    except Exception:  # a policy of the user's own
        logger.exception("a retry policy could not judge what failed, and so gives up: %r", policy)
    return None
