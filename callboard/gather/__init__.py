"""Floor 1: fan-in. The rules of a group as a pure machine, and what folds its results into one."""

from callboard.gather.aggregator import Aggregator, Fold
from callboard.gather.decision import CancelRest, Close, Decision, Feed
from callboard.gather.gather import Gather, OnError
from callboard.gather.join import Join, JoinFunction, make_join

__all__ = [
    "Aggregator",
    "CancelRest",
    "Close",
    "Decision",
    "Feed",
    "Fold",
    "Gather",
    "Join",
    "JoinFunction",
    "OnError",
    "make_join",
]
