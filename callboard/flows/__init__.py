"""What is to be done: tasks, and the flows that are made of them."""

from callboard.flows.combinator import MapTask, ReduceTask
from callboard.flows.composite import CompositeTask
from callboard.flows.decision import Attempt, Decision, History, Verdict
from callboard.flows.fanout import FanOutFanInPattern
from callboard.flows.flow import Flow, LinearFlow, UnorderedFlow
from callboard.flows.function import FunctionTask, TaskFunction, call_submission, task
from callboard.flows.graph import Depth, GraphFlow
from callboard.flows.growth import Expansion
from callboard.flows.retry import AlwaysRevert, AlwaysRevertAll, ForEach, ParameterizedForEach, Retry, Times
from callboard.flows.signal import WaitForSignal
from callboard.flows.state import AtomState, FlowStatus
from callboard.flows.task import Task

__all__ = [
    "AlwaysRevert",
    "AlwaysRevertAll",
    "AtomState",
    "Attempt",
    "CompositeTask",
    "Decision",
    "Depth",
    "Expansion",
    "FanOutFanInPattern",
    "Flow",
    "FlowStatus",
    "ForEach",
    "FunctionTask",
    "GraphFlow",
    "History",
    "LinearFlow",
    "MapTask",
    "ParameterizedForEach",
    "ReduceTask",
    "Retry",
    "Task",
    "TaskFunction",
    "Times",
    "UnorderedFlow",
    "Verdict",
    "WaitForSignal",
    "call_submission",
    "task",
]
