"""What is to be done: tasks, and the flows that are made of them."""

from callboard.flows.function import FunctionTask, TaskFunction, call_submission, task
from callboard.flows.task import Task

__all__ = [
    "FunctionTask",
    "Task",
    "TaskFunction",
    "call_submission",
    "task",
]
