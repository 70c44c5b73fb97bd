"""Floor 1: topics and their patterns, who listens, the emitter of one process, and the guard of chains."""

from callboard.events.chain import Chain
from callboard.events.emitter import EventEmitter
from callboard.events.listener import Handler, Listeners, Subscription
from callboard.events.stream import EventStream
from callboard.events.topic import Pattern, check_topic
from callboard.events.where import Where, check_where, matches

__all__ = [
    "Chain",
    "EventEmitter",
    "EventStream",
    "Handler",
    "Listeners",
    "Pattern",
    "Subscription",
    "Where",
    "check_topic",
    "check_where",
    "matches",
]
