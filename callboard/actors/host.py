"""The actor of a worker's process: takes assignments, has them run, reports, and knows when to end."""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from typing import Any

from callboard.actors.assignment import Specs, attempts_of, burden, report_of
from callboard.actors.attempt import Attempt, Finished, Leave, Said
from callboard.actors.dump import stacks
from callboard.actors.execution import Execution, Noting
from callboard.actors.lending import HostLink, LendingClient, Parked
from callboard.actors.mailbox import Mail
from callboard.actors.overrun import Overruns
from callboard.actors.peer import Endpoint, PeerActor, Versions
from callboard.actors.sequence import Kept
from callboard.actors.turn import TurnMailbox
from callboard.actors.uplink import Question, Uplink
from callboard.actors.worker import ProcessWorker
from callboard.messages.codec import Packed, encode, portions
from callboard.messages.shared import keep, let_go
from callboard.messages.task import Submission
from callboard.messages.wire import (
    AnyMessage,
    Assign,
    Drop,
    Dump,
    Dumped,
    Ending,
    Goodbye,
    Halt,
    HandBack,
    Hello,
    Leaving,
    Park,
    Probe,
    Recall,
    Watch,
    Welcome,
)

OF_WORK = (Assign, Probe, Recall, Halt)
"""What means nothing until the newest hello is answered: it was said to who the worker was before."""
LEAVE_PATIENCE = 2.0
"""Seconds that a leaving worker waits for its last report to be acknowledged."""
SLICE = 0.001
"""Seconds for which tasks are run in the actor's thread before it reports."""
SAME_REQUEST = 0.5
"""Seconds within which being asked to leave again is no second request: launchers pass on signals that came here, too."""
ABANDON_PATIENCE = 5.0
"""Seconds that the other slots get to finish when a slot is stuck in a task that was given up."""


class WorkerHost(PeerActor):
    """Runs one `ProcessWorker`. ``token`` names a local child to its supervisor."""

    mailbox: TurnMailbox

    def __init__(self, worker: ProcessWorker, endpoint: Endpoint, note: Noting, token: str | None = None) -> None:
        super().__init__(endpoint)
        self.worker = worker
        self.token = token
        self._versions = Versions.here()
        self.client = LendingClient()
        self.client.host = self
        self.client.attach(HostLink(self))
        self.uplink = Uplink(self.send, self.client.deliver, self.greeting)
        self.execution = Execution(worker, self.client, self.mailbox.post, note)
        self.stuck = False
        """Whether a task that would not stop holds one of the threads."""
        self.ended = threading.Event()
        """Set when the worker has nothing more to do and its process may end."""
        self._held: dict[str, Attempt] = {}  # queued and running
        self._specs: Specs = {}
        self._overruns = Overruns()
        self._reports: Kept[tuple[list[str], list[int], list[Any]]] = Kept()
        self._to_run = False
        self._leaving: float | None = None
        self._give_up_at = float("inf")

    @staticmethod
    def _create_actor_inbox() -> Any:
        return TurnMailbox()

    def open(self) -> None:
        """Connect, and have a second thread stand by for when a task takes long in the first."""
        super().open()
        self._stand_by()

    def _stand_by(self) -> None:
        threading.Thread(target=self._actor_loop_running, name="callboard-standby", daemon=True).start()

    # -- the conversation -------------------------------------------------------------------

    def hello(self) -> Hello:
        """Who this worker is, what it runs and what it has reported without being heard for certain."""
        ids = [attempt.task_id for attempt in self._held.values()]
        fences = [attempt.fence for attempt in self._held.values()]
        for reported, with_fences, _ in self._reports:
            ids += reported
            fences += with_fences
        worker = self.worker
        return Hello(
            python=self._versions.python,
            cloudpickle=self._versions.cloudpickle,
            peer="worker",
            name=worker.name,
            role=worker.role,
            skills=worker.skills,
            slots=worker.slots,
            pid=os.getpid(),
            host=socket.gethostname(),
            token=self.token,
            epoch=self.epoch,
            ids=ids,
            fences=fences,
            leaving=self._leaving is not None,
            number=self.greeting.number,
            heard=self._reports.settled,
        )

    def welcomed(self, message: Welcome) -> None:
        """Say what the manager may have missed, or has not heard yet."""
        self.execution.max_payload = self.client.max_payload = message.max_payload
        self._specs.clear()  # from here on the manager tells anew what is needed
        needed = {attempt.spec.code for attempt in self._held.values()}
        for digest in self.execution.codes.keys() - needed:
            del self.execution.codes[digest]
        for _, _, frames in self._reports:
            self.send(frames)
        for attempt in self._held.values():
            if attempt.parked:
                self._park(attempt, True)
        self.uplink.rejoined(message.settled)

    def refused(self, reason: str) -> None:
        """There is no use in staying."""
        self.ended.set()

    def hear(self, message: AnyMessage, payloads: list[Packed]) -> None:
        """Deal with what the manager says."""
        if not self.greeting.answered and isinstance(message, OF_WORK):
            return  # the hello tells the manager that it did not come
        if isinstance(message, Assign):
            self._reports.acknowledged(message.acked)
            self._assigned(message, payloads)
        elif isinstance(message, Probe):
            self._reports.acknowledged(message.acked)
        elif isinstance(message, Recall):
            self._give_back(self.execution.crew.take_back(set(message.ids) or None))
        elif isinstance(message, Halt):
            self._halt(message)
        elif isinstance(message, Drop):
            let_go(message.ids)
            for digest in message.codes or ():
                self.execution.codes.pop(digest, None)
        elif isinstance(message, Watch):
            heard = {"task.started": message.started, "task.progress": message.progress}
            self.execution.heard = frozenset(topic for topic, wanted in heard.items() if wanted)
        elif isinstance(message, Goodbye):
            self._leave_once()  # it is said again after a reconnect, which is no second request
        elif isinstance(message, Dump):
            text = stacks(self._held.values(), self.execution.crew.coroutines())
            self.send(encode(Dumped(number=message.number, text=text)))
        else:
            self.uplink.hear(message, payloads)

    def _assigned(self, message: Assign, payloads: list[Packed]) -> None:
        if message.anew:
            self._specs.clear()
        if message.specs is not None:
            self._specs.update(message.specs)
        if message.values is not None:
            start = len(payloads) - len(message.values) - len(message.codes or ())
            for value_id, packed in zip(message.values, payloads[start:], strict=False):
                keep(value_id, packed)
        if message.codes is not None:
            for digest, blob in zip(message.codes, payloads[len(payloads) - len(message.codes) :], strict=True):
                self.execution.codes[digest] = blob if isinstance(blob, bytes) else b"".join(frame.bytes for frame in blob.frames)
        if not self._specs.keys() >= set(message.spec_of):
            self.greet()  # an earlier message was lost on the way: the manager learns from the hello what did not come
            return
        attempts = attempts_of(message, payloads, self._specs, time.monotonic())
        for attempt in attempts:
            self._held[attempt.task_id] = attempt
        self._overruns.watch(attempts)
        if self._leaving is not None:
            self._give_back(attempts)
        elif self.worker.slots == 1:
            self.execution.crew.put(attempts)
            self._to_run = True  # in this very thread, when nothing else is left to be done
        else:
            self.execution.crew.add(attempts)

    def receive(self, mail: Mail) -> None:
        """Deal with what has come, then run what there is to run."""
        super().receive(mail)
        if self._to_run:
            self._to_run = False
            self._run_here()

    def _run_here(self) -> None:
        # A slice at a time, so that the manager can send more while the rest is done.
        crew, turns = self.execution.crew, self.mailbox
        more = True
        if not turns.attended:
            self._stand_by()  # who stood by runs a task that waits for others
        while more:
            turns.lend()
            more = crew.run_here(SLICE)
            if not turns.reclaim():
                while more:  # the standby has the mailbox now, and this thread is a slot until the row is empty
                    more = crew.run_here(math.inf)
                return
            self.take(turns.drain())

    def _give_back(self, attempts: list[Attempt]) -> None:
        self._overruns.leave(attempts)
        for attempt in attempts:
            self._held.pop(attempt.task_id, None)
            if attempt.started is not None:
                self.execution.note.end(attempt.seat)  # whatever becomes of this process, it is not this one's fault any more
        ids = [attempt.task_id for attempt in attempts]
        self.send(encode(HandBack(epoch=self.epoch or "", ids=ids, fences=[attempt.fence for attempt in attempts])))

    def _halt(self, message: Halt) -> None:
        # What has not begun need not wait for what runs before it.
        self._report([Finished(attempt, Ending.CANCELLED, 0) for attempt in self.execution.crew.take_back(set(message.ids))])
        for attempt in filter(None, map(self._held.get, message.ids)):
            attempt.halted = True
            if attempt.future is not None:
                attempt.future.cancel()
            elif message.force and attempt.started is not None:
                self._abandon(attempt, Ending.CANCELLED)

    def _abandon(self, attempt: Attempt, ending: int) -> None:
        """Tell the ending of an attempt that will not stop, and leave: its thread is lost, and the process with it."""
        attempt.abandoned = self.stuck = True
        elapsed = time.monotonic() - (attempt.started or time.monotonic())
        # In this order: what is to be tried again must not come back here, where it would be taken for running.
        self._leave_once()
        self._report([Finished(attempt, ending, int(elapsed * 1e6))])
        self._give_up_at = time.monotonic() + ABANDON_PATIENCE

    # -- what comes from the slots ----------------------------------------------------------

    def take(self, items: list[Any]) -> None:
        """Report what has ended and pass on what is said, in the order in which it was."""
        finished: list[Finished] = []
        submissions: list[Submission] = []
        for item in items:
            if type(item) is Finished:
                finished.append(item)
            elif type(item) is Submission:
                submissions.append(item)
            else:
                self.uplink.submit(submissions)  # first, since a question may be about them
                submissions = []
                self._pass_on(item)
        self.uplink.submit(submissions)
        if finished:
            self._report(finished)

    def _pass_on(self, item: Any) -> None:
        if isinstance(item, Parked):
            if self._held.get(item.attempt.task_id) is item.attempt and self.greeting.answered:
                self._park(item.attempt, item.parked)
        elif isinstance(item, Leave):
            self._leave()
        elif isinstance(item, Question):
            self.uplink.ask(item)
        elif isinstance(item, Said):
            self.send(item.frames)
        else:
            self.uplink.submit_asking(*item)

    def _park(self, attempt: Attempt, parked: bool) -> None:
        self.send(encode(Park(task_id=attempt.task_id, fence=attempt.fence, parked=parked)))

    def _report(self, finished: list[Finished]) -> None:
        rows = []
        for item in finished:
            attempt = item.attempt
            # Another attempt at the same task may have come meanwhile, when this one was taken for lost.
            if self._held.get(attempt.task_id) is attempt:
                del self._held[attempt.task_id]
                rows.append(item)
        self._overruns.leave([row.attempt for row in rows])
        for portion in portions(rows, burden):
            frames = report_of(portion, self.epoch or "", self._reports.next)
            self._reports.add(([row.attempt.task_id for row in portion], [row.attempt.fence for row in portion], frames))
            if self.greeting.answered:
                self.send(frames)

    # -- timers and the end -----------------------------------------------------------------

    def _leave(self) -> None:
        if self._leaving is None:
            self._leave_once()
        elif time.monotonic() - self._leaving > SAME_REQUEST:
            # Asked a second time: what runs is handed back as well, to be done elsewhere.
            self._give_up_at = 0.0

    def _leave_once(self) -> None:
        if self._leaving is None:
            self._leaving = time.monotonic()
            self.send(encode(Leaving()))
            self._give_back(self.execution.crew.take_back(None))

    def next_deadline(self) -> float | None:
        """When an attempt overruns, when leaving has taken long enough, or when the hello is to be said again."""
        now = time.monotonic()
        due = [when for when in (self._overruns.next(now), super().next_deadline()) if when is not None]
        if self._leaving is not None:
            due.append(now + 0.02)
        return min(due) if due else None

    def close(self) -> None:
        """Disconnect; this may happen in either thread, and the other one waits for its turn."""
        super().close()
        self.mailbox.release()

    def tick(self) -> None:
        """Stop what overran; end when all is done."""
        super().tick()
        now = time.monotonic()
        for attempt in self._overruns.due(now):
            self._stop_overrun(attempt)
        if self._leaving is not None:
            if self._held and now >= self._give_up_at:
                self._give_back(list(self._held.values()))
            patient = now < self._leaving + LEAVE_PATIENCE
            if not self._held and not (self._reports and patient):
                self.send(encode(Goodbye()))
                self.ended.set()
                self.stop()

    def _stop_overrun(self, attempt: Attempt) -> None:
        if attempt.future is not None:
            attempt.abandoned = True
            attempt.future.cancel()
            self._report([Finished(attempt, Ending.TIMED_OUT, int((attempt.spec.timeout or 0.0) * 1e6))])
        else:
            self._abandon(attempt, Ending.TIMED_OUT)
