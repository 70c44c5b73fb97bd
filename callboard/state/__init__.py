"""Where state is kept: stores, named states, the log book of flows, remembered outcomes."""

from callboard.state.address import open_store
from callboard.state.change import KEEP, AtomChange, FlowChange, Keep, RunChange, StoreValue
from callboard.state.journal import Journal
from callboard.state.manager import StateManager
from callboard.state.memory import MemoryStore
from callboard.state.record import AtomRecord, Factory, FlowRecord, HistoryRow, LogBook, RetryAttempt, RunSnapshot, Saved
from callboard.state.store import ABSENT, Delete, Put, Record, Store
from callboard.state.value import StoredValue, encode

__all__ = [
    "ABSENT",
    "KEEP",
    "AtomChange",
    "AtomRecord",
    "Delete",
    "Factory",
    "FlowChange",
    "FlowRecord",
    "HistoryRow",
    "Journal",
    "Keep",
    "LogBook",
    "MemoryStore",
    "Put",
    "Record",
    "RetryAttempt",
    "RunChange",
    "RunSnapshot",
    "Saved",
    "StateManager",
    "Store",
    "StoreValue",
    "StoredValue",
    "encode",
    "open_store",
]
