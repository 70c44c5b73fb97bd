"""Where state is kept: stores, named states, the log book of flows, remembered outcomes."""

from callboard.state.address import open_store
from callboard.state.change import AtomChange, FlowChange, RunChange, StoreValue
from callboard.state.idempotency import Done, InFlight, New, Outcomes, idempotency_key
from callboard.state.journal import Journal
from callboard.state.manager import StateManager
from callboard.state.memory import MemoryStore
from callboard.state.record import AtomRecord, Factory, FlowRecord, HistoryRow, LogBook, RetryAttempt, RunSnapshot, Saved
from callboard.state.store import ABSENT, Delete, Put, Record, Store
from callboard.state.value import StoredValue, encode

__all__ = [
    "ABSENT",
    "AtomChange",
    "AtomRecord",
    "Delete",
    "Done",
    "Factory",
    "FlowChange",
    "FlowRecord",
    "HistoryRow",
    "InFlight",
    "Journal",
    "LogBook",
    "MemoryStore",
    "New",
    "Outcomes",
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
    "idempotency_key",
    "open_store",
]
