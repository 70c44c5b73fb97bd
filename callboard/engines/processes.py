"""Jobs in child processes: a thread for each job that is under way, which talks with a child through pipes."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from callboard.engines.children import Child, Children
from callboard.engines.job import Ending, Job
from callboard.engines.run import FlowRun
from callboard.engines.threads import ThreadCrew
from callboard.messages.errors import CannotPickle, WorkerDied
from callboard.messages.payload import dumps_small


class ProcessCrew(ThreadCrew):
    """Up to ``size`` of the ``children``. One whose job is no longer waited for is killed."""

    def __init__(self, run: FlowRun, size: int, children: Children) -> None:
        super().__init__(run, size)
        self._children = children
        self._busy: dict[Job, Child] = {}
        self._lock = threading.Lock()

    def drop(self, job: Job) -> None:
        """Kill the child that runs a job."""
        super().drop(job)
        self._kill(job)

    def close(self, left: Iterable[Job]) -> None:
        """Kill the children whose jobs are left."""
        super().close(left)
        for job in left:
            self._kill(job)

    def perform(self, job: Job) -> Ending:
        """Have a child carry the job out. It rests again before anybody hears of that."""
        try:
            request = dumps_small((job.task, job.arguments, job.attempt, job.undo))
        except Exception as error:  # whatever the user's objects raise
            return Ending(None, CannotPickle(f"task {job.name!r} cannot be carried to a process: {type(error).__name__}: {error}"))
        try:
            child = self._children.take()
        except OSError as error:  # the system has no room for another process
            return Ending(None, error, begun=False)
        with self._lock:
            self._busy[job] = child
            if job.cancelled:
                child.kill()
        try:
            ending = child.perform(request, lambda topic, data: self.run.tell(job, topic, data))
        except (OSError, EOFError):
            ending = Ending(None, WorkerDied(f"the process that ran task {job.name!r} {child.ending()}"))
        with self._lock:
            del self._busy[job]
        if job.cancelled or child.dead():
            child.kill()
            child.close()
        else:
            self._children.give_back(child)
        return ending

    def _kill(self, job: Job) -> None:
        with self._lock:
            child = self._busy.get(job)
            if child is not None:
                child.kill()
