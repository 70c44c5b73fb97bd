"""What the dispatcher knows of one task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from callboard.actors.dispatch.credit import ahead_allowed
from callboard.actors.dispatch.offer import PRIORITY
from callboard.events.chain import Chain
from callboard.messages.codec import Large, Packed
from callboard.messages.errors import CallboardError
from callboard.messages.failure import Failure
from callboard.messages.payload import Payload
from callboard.messages.spec import TaskSpec
from callboard.messages.status import FINAL, TASK_TRANSITIONS, TaskStatus, check_transition
from callboard.messages.task import Submission

if TYPE_CHECKING:
    from callboard.actors.dispatch.agenda import Timer
    from callboard.actors.dispatch.record import WorkerRecord
    from callboard.actors.dispatch.requirement import Requirement

PENDING, RUNNING = TaskStatus.PENDING, TaskStatus.RUNNING


class Category:
    """All tasks of one spec: what they need, how long they were seen to run (microseconds, None before the first), and how many
    of them may therefore be sent ahead to a worker."""

    __slots__ = ("ahead", "breaker_key", "expires_in", "head_start", "mean", "number", "priority", "requirement", "spec", "timeout")

    def __init__(self, number: int, spec: TaskSpec, requirement: Requirement) -> None:
        self.number = number
        self.spec = spec
        self.requirement = requirement
        self.mean: float | None = None
        self.ahead = 0
        self.timeout = spec.timeout
        self.expires_in = spec.expires_in
        self.breaker_key = spec.breaker_key
        self.priority = spec.priority  # where needs differ from task to task each spec is far from anything at hand
        self.head_start = spec.priority * PRIORITY

    def observe(self, micros: float) -> None:
        """Let a run time (a batch's mean) weigh in: a quarter of the estimate, so that it follows a change quickly."""
        self.mean = micros if self.mean is None else self.mean + (micros - self.mean) * 0.25
        if self.breaker_key is None:  # whether its circuit lets one through is asked when it begins
            self.ahead = ahead_allowed(self.mean, self.timeout)


class Forfeit(NamedTuple):
    """What a lost worker's attempt was charged, to be given back if the worker returns and still has it."""

    fence: int
    attempts: int
    deaths: int


class Rare:
    """What only few tasks have, so that the others need not carry it."""

    __slots__ = (
        "begun",
        "cancelling",
        "chain",
        "deaths",
        "event",
        "excused",
        "failure",
        "failures",
        "followers",
        "forfeit",
        "leader",
        "overrun",
        "refusal",
        "replaced",
        "rich",
        "stand_in",
        "stand_in_for",
        "suspect",
    )

    def __init__(self) -> None:
        self.begun: float | None = None  # when its first attempt began, where that has failed
        self.failures = 0
        self.failure: Failure | None = None  # what stands behind the error of a task that failed
        self.cancelling = False
        self.deaths = 0
        self.chain: Chain | None = None  # which listeners started each other until this
        self.refusal: CallboardError | None = None  # why what a listener wanted to start is not
        self.event: dict[str, Any] | None = None  # what started it, by a rule
        self.rich: Packed | None = None  # and of that event, the data that are no plain values
        self.leader: Entry | None = None  # of the same idempotency key, whose outcome this one waits for
        self.followers: list[Entry] = []  # those that wait for this one's outcome
        self.replaced = False  # failed for good, and waits for what its fallback comes to
        self.stand_in: Entry | None = None  # that fallback
        self.stand_in_for: Entry | None = None  # the failed task whose outcome this one's will be
        self.forfeit: Forfeit | None = None
        self.excused = 0  # how many deaths of remote workers it was not blamed for, since it waited for other tasks
        self.suspect = False  # may have killed a worker: runs again alone
        self.overrun = False  # its worker is being ended, since it did not stop at its timeout


NOTHING_RARE = Rare()


class Held(NamedTuple):
    """A submission that the dispatcher makes on its own account: a fallback, or the follow-on task of a rule."""

    submission: Submission
    client: str
    rare: Rare


class Node:
    """A task's place among those that wait for each other.

    A base of its own, so that these fields lie side by side: in a large graph all that is told of a task by others is far
    from anything the processor has at hand.
    """

    __slots__ = ("dependencies", "dependents", "level", "status", "users", "waiting_for")

    dependencies: tuple[str, ...]  # each id once; none when the task has ended
    dependents: list[Entry] | None  # who waits for it
    level: int  # see `level`
    status: TaskStatus
    users: int  # when it has ended: open tasks that depend on it, so that its output is still needed
    waiting_for: int  # what it needs that has not ended: dependencies, and the leader of its key


class Entry(Node):
    """One task from its submission until its record is let go. ``order`` sorts the ready: by priority, then by age."""

    __slots__ = (
        "attempts",
        "category",
        "client",
        "error",
        "fence",
        "micros",
        "name",
        "order",
        "output",
        "payload",
        "rare",
        "submission",
        "submitted",
        "task_id",
        "timer",
        "worker",
        "worker_name",
    )

    def __init__(
        self, submission: Submission, client: str, category: Category, sequence: int, submitted: int, rare: Rare = NOTHING_RARE
    ) -> None:
        dependencies = submission.dependencies
        if len(dependencies) > 1 and len(set(dependencies)) < len(dependencies):
            dependencies = tuple(dict.fromkeys(dependencies))
        self.dependencies = dependencies
        self.dependents = None
        self.level = 0
        self.status = PENDING
        self.users = 0
        self.waiting_for = 0
        self.task_id = submission.task_id
        self.name = submission.name
        self.payload: Payload | Large | None = submission.payload  # until it has ended
        # The rest of it is kept only where there is any, which is seldom, and until the task has ended.
        says_more = submission.fallback is not None or submission.idempotency_key is not None or submission.shares
        self.submission: Submission | None = submission if says_more else None
        self.client = client
        self.category = category
        self.order = sequence - category.head_start
        self.submitted = submitted
        self.fence = 0
        self.attempts = 0
        self.worker: WorkerRecord | None = None
        self.worker_name: str | None = None
        self.output: Packed | None = None
        self.error: str | None = None
        self.micros = 0
        self.timer: Timer | None = None  # its one deadline: to expire, to be tried again, to be stopped
        self.rare = rare

    def own_rare(self) -> Rare:
        """The rare part, made when first needed."""
        if self.rare is NOTHING_RARE:
            self.rare = Rare()
        return self.rare

    @property
    def failure(self) -> Failure | None:
        """What stands behind the error, where there is one."""
        return self.rare.failure

    def note_error(self, error: str | None, failure: Failure | None = None) -> None:
        """Why it failed, or will not be run; None for nothing."""
        self.error = error
        if failure is not None or self.rare is not NOTHING_RARE:
            self.own_rare().failure = failure

    @property
    def final(self) -> bool:
        """Whether the task has ended."""
        return self.status in FINAL

    def become(self, status: TaskStatus) -> None:
        """Change the status as the table allows."""
        check_transition(TASK_TRANSITIONS, self.status, status, f"task {self.task_id!r}")
        self.status = status

    def seen_status(self) -> TaskStatus:
        """The status as a person sees it: what was sent ahead to a worker and has not begun is still PENDING."""
        if self.status is RUNNING and self.worker is not None and not self.worker.is_running(self):
            return PENDING
        return self.status
