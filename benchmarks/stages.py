"""Where a task's microseconds go: each stage of its way alone, in processor time, without sockets and processes.

Batches go from stage to stage as they do between the real actors; of several rounds the best counts, since others may
use the machine. ``python -m benchmarks.stages`` prints a table.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

from benchmarks.work import noop
from callboard.actors.assignment import attempts_of, report_of
from callboard.actors.attempt import Attempt, Finished
from callboard.actors.client import Client
from callboard.actors.courier import Peer
from callboard.actors.dispatch.command import Assign, Deliver
from callboard.actors.dispatch.dispatcher import Dispatcher
from callboard.actors.dispatch.entry import Entry
from callboard.actors.dispatch.record import WorkerInfo
from callboard.actors.execution import Execution
from callboard.actors.mailbox import Mailbox
from callboard.actors.note import NoNote
from callboard.actors.worker import ProcessWorker
from callboard.flows.function import call_submission
from callboard.messages.codec import decode
from callboard.messages.spec import TaskSpec
from callboard.messages.task import PLAIN_ROLE, Submission
from callboard.messages.wire import Assign as AssignMessage
from callboard.playground.executor import ExecutorFuture

BATCH = 100
ROUNDS = 200
STAGES = {
    "submit": "client: pickle the arguments, make a submission and a handle",
    "post": "mailbox: hand it to the manager's thread",
    "assign": "dispatch: take it in, find a worker",
    "encode": "encode: the message to the worker",
    "decode": "decode: what the worker was sent",
    "run": "worker: unpickle, call, pickle the output",
    "report": "encode: the report",
    "heard": "decode: the report",
    "end": "dispatch: end it, free the worker",
    "deliver": "deliver: settle the handle, wake who waits",
    "result": "client: load the output",
}


class Line:
    """The stages in a row, each with the processor time that it took for a batch (seconds)."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {stage: [] for stage in STAGES}
        self._client = Client()
        self._client.attach(self)
        self._mailbox = Mailbox()
        self._dispatcher = Dispatcher()
        self._dispatcher.join(WorkerInfo("w", "w", PLAIN_ROLE), 0.0)
        self._peer = Peer("w", "worker", "w", None, None)
        self._finished: list[Finished] = []
        self._execution = Execution(ProcessWorker("w", PLAIN_ROLE), self._client, self._finished.append, NoNote())
        self._submitted: list[Submission] = []
        self._codes: dict[str, bytes] = {}
        self._number = 0
        self._specs: dict[int, TaskSpec] = {}

    # -- the link of the client: nobody asks anything here --------------------------------------------

    def submit(self, submission: Submission) -> None:
        """Keep it for the next stage."""
        self._submitted.append(submission)

    def submit_asking(self, submission: Submission) -> None:
        """As `submit`."""
        self._submitted.append(submission)

    def ask(self, what: str, arguments: dict[str, Any]) -> Any:
        """Not asked."""
        raise NotImplementedError

    def say(self, topic: str, data: dict[str, Any]) -> None:
        """Not told."""
        raise NotImplementedError

    # -- a batch on its way --------------------------------------------------------------------------------

    def batch(self) -> None:
        """Send one batch all the way."""
        client, dispatcher = self._client, self._dispatcher
        handles = self._timed("submit", lambda: [client.submit_made(call_submission(noop, (), {}), ExecutorFuture) for _ in range(BATCH)])
        submissions, self._submitted = self._submitted, []
        self._timed("post", lambda: self._through_the_mailbox(submissions))
        for submission in submissions:
            if submission.code is not None:
                self._codes[submission.code.digest] = submission.code.blob

        def take_in() -> list[Any]:
            dispatcher.submit("local", submissions, self._number, fresh=True)
            return dispatcher.flush(self._number)

        commands = self._timed("assign", take_in)
        while assigned := [command for command in commands if isinstance(command, Assign)]:
            commands = self._at_the_worker(assigned[0].by_worker["w"])
        for handle in handles:
            if not handle.done():
                raise AssertionError("a task did not end")
        self._timed("result", lambda: [handle.result() for handle in handles])

    def _through_the_mailbox(self, submissions: list[Submission]) -> None:
        for submission in submissions:
            self._mailbox.post(submission)
        self._mailbox.get()

    def _at_the_worker(self, entries: list[Entry]) -> list[Any]:
        peer, dispatcher = self._peer, self._dispatcher
        frames = self._timed("encode", lambda: peer.assign(entries, "epoch", dispatcher.ledger, self._codes, self._number), len(entries))
        attempts = self._timed("decode", lambda: self._attempts(frames), len(entries))
        self._timed("run", lambda: self._run(attempts), len(entries))
        finished = self._finished[:]
        self._finished.clear()
        self._number += 1
        frames = self._timed("report", lambda: self._reported(finished), len(entries))
        message, payloads = self._timed("heard", lambda: decode(frames), len(entries))

        def end() -> list[Any]:
            dispatcher.report("w", message, payloads, self._number)
            return dispatcher.flush(self._number)

        commands: list[Any] = self._timed("end", end, len(entries))
        for command in commands:
            if isinstance(command, Deliver):
                told = command.entries
                self._timed("deliver", lambda told=told: self._client.deliver(told), len(told))  # type: ignore[misc]
        return commands

    def _run(self, attempts: list[Attempt]) -> None:
        for attempt in attempts:
            self._execution.run(attempt, 0)

    def _attempts(self, frames: list[Any]) -> list[Attempt]:
        message, payloads = decode(frames)
        assert isinstance(message, AssignMessage)
        for digest, blob in zip(message.codes or (), payloads[len(message.ids) :], strict=False):
            assert isinstance(blob, bytes)
            self._execution.codes[digest] = blob
        self._specs.update(message.specs or {})
        return attempts_of(message, payloads, self._specs, 0.0)

    def _reported(self, finished: list[Finished]) -> list[Any]:
        return report_of(finished, "epoch", self._number)

    def _timed(self, stage: str, call: Callable[[], Any], tasks: int = BATCH) -> Any:
        begun = time.thread_time()
        value = call()
        spent = time.thread_time() - begun
        if tasks > BATCH // 4:  # what goes out by ones and twos while the first is measured says little
            self.seconds[stage].append(spent / tasks)
        return value


def main() -> None:
    """Measure and print."""
    gc.disable()  # whose turn it is says nothing about a stage
    line = Line()
    for _ in range(ROUNDS):
        line.batch()
    best = {stage: sorted(seconds)[len(seconds) // 10] * 1e6 for stage, seconds in line.seconds.items()}
    print("| stage | us a task | |\n|---|---|---|")
    for stage, text in STAGES.items():
        name, _, what = text.partition(": ")
        print(f"| {name} | {best[stage]:.2f} | {what} |")
    print(f"| together | {sum(best.values()):.1f} | |")


if __name__ == "__main__":
    main()
