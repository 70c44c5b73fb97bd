"""Messages that are almost right, for a manager that nothing may bring down."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import zmq

from callboard.actors.mailbox import Mail
from callboard.actors.manager import ManagerSettings, TaskManager
from callboard.actors.peer import Versions
from callboard.messages.codec import columns, encode, pack
from callboard.messages.failure import Failure
from callboard.messages.spec import BreakerNumbers, RetryNumbers, TaskSpec
from callboard.messages.task import WorkKind
from callboard.messages.wire import (
    Ack,
    Ask,
    Cancel,
    Drop,
    Dumped,
    Goodbye,
    HandBack,
    Hello,
    Leaving,
    Park,
    Probe,
    Put,
    Rejoin,
    Report,
    Say,
    Submit,
    Terms,
)

WORKER, CLIENT = "w" * 32, "c" * 32
VERSIONS = Versions.here()


def corpus() -> list[tuple[str, list[bytes]]]:
    """Valid messages, each with who says it."""
    spec = TaskSpec(
        kind=WorkKind.CALL,
        role="worker",
        skills=(("oil", 2),),
        timeout=5.0,
        expires_in=3.0,
        retry=RetryNumbers(max_attempts=3),
        breaker=BreakerNumbers(),
        breaker_key="b",
        code="digest",
    )
    plain = TaskSpec(role="worker")
    large = pack(bytes(40_000))
    parts = columns([b"one", large, b"fallback", b"code"])
    failure = Failure(type_name="ValueError", message="no", traceback="Traceback")
    worker = Hello(python=VERSIONS.python, cloudpickle=VERSIONS.cloudpickle, peer="worker", name="ada", role="worker", slots=2)
    worker = worker.model_copy(update={"skills": {"oil": 3}, "ids": ["t1"], "fences": [1]})
    client = Hello(python=VERSIONS.python, cloudpickle=VERSIONS.cloudpickle, peer="client", name="bob")
    found: list[tuple[str, Any, list[Any]]] = [
        (WORKER, worker, []),
        (CLIENT, client, []),
        (CLIENT, _submit(["t1", "t2"], plain), [b"onetwo"]),
        (
            CLIENT,
            Submit(
                ids=["t3", "t4"],
                names=["a", "b"],
                spec_of=[1, 1],
                specs={1: spec},
                dependencies={1: ["t3", "t9"]},
                keys={0: "key"},
                fallback_values={0: 2},
                codes=["digest"],
                sizes=parts.sizes,
                large=parts.large,
            ),
            parts.frames,
        ),
        (CLIENT, _submit(["t5"], plain, ask=1), [b"one"]),
        (CLIENT, _submit(["r1"], plain, ask=2, rule=Terms(rule_id="r", pattern="task.*", where={"name": "nobody"})), [b"one"]),
        (CLIENT, _submit(["t1", "t6"], plain, again=True, fallback_tasks={0: 1}), [b"onetwo"]),
        (WORKER, _report(["t1"], [1], [0]), [b"out"]),
        (WORKER, _report(["t2"], [2], [1], errors={0: "no"}, failures={0: failure}, again={0: 0.5}), [b"out"]),
        (WORKER, HandBack(epoch="e", ids=["t1", "t2"], fences=[1, 2]), []),
        (WORKER, Park(task_id="t1", fence=1, parked=True), []),
        (WORKER, Leaving(), []),
        (WORKER, Dumped(number=1, text="stack"), []),
        (WORKER, Say(topic="task.progress", task_id="t1", time=1.0, data={"fraction": 0.5}), []),
        (CLIENT, Say(topic="news", time=1.0, data={"a": [1, {"b": None}]}, rich=True, sizes=[4]), [b"rich"]),
        (CLIENT, Ack(number=1), []),
        (CLIENT, Cancel(ids=["t1", "t2"], force=True), []),
        (CLIENT, Put(id="v1", ask=3, sizes=[3]), [b"one"]),
        (CLIENT, Drop(ids=["v1"]), []),
        (CLIENT, Probe(), []),
        (CLIENT, Rejoin(), []),
        (CLIENT, Goodbye(), []),
        (WORKER, Goodbye(), []),
    ]
    for what, arguments in QUESTIONS:
        found.append((CLIENT, Ask(number=4, what=what, arguments=arguments), []))
    return [(who, [bytes(frame) for frame in encode(message, frames)]) for who, message, frames in found]


QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("status", {"task_id": "t1"}),
    ("task", {"task_id": "t1"}),
    ("workers", {}),
    ("overview", {}),
    ("explain", {"task_id": "t4"}),
    ("cancel", {"ids": ["t1"], "force": False}),
    ("cancel_waiting", {"ids": ["t1"]}),
    ("drop_rule", {"rule_id": "r"}),
    ("dump", {}),
]


def _submit(ids: list[str], spec: TaskSpec, **more: Any) -> Submit:
    return Submit(ids=ids, names=["a"] * len(ids), spec_of=[0] * len(ids), specs={0: spec}, sizes=[3] * len(ids), **more)


def _report(ids: list[str], fences: list[int], endings: list[int], **more: Any) -> Report:
    return Report(epoch="e", number=1, ids=ids, fences=fences, endings=endings, micros=[5], sizes=[3], **more)


WHOLES = [-1, 0, 1, 2, 3, 99, 2**31, -(2**63), 2**64, 10**400]
TEXTS = ["", "x" * 5000, "\0", "task.*", "t1", "t2", "t4", "\u202e", "../../etc"]
NUMBERS = [1e308, -1e308, 5e-324, 0.5, -1.0]
HOSTILE: list[Callable[[random.Random], Any]] = [
    lambda chance: None,
    lambda chance: chance.choice([True, False]),
    lambda chance: chance.choice(WHOLES),
    lambda chance: chance.choice(NUMBERS),
    lambda chance: chance.choice(TEXTS),
    lambda chance: [],
    lambda chance: ["t1"] * chance.choice([1, 3, 2000]),
    lambda chance: {},
    lambda chance: {"0": 1, "-1": 2, "99": 3},
    lambda chance: _nested(chance.choice([3, 60])),
]


def _nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value] if depth % 2 else {"a": value}
    return value


def mutated(frames: list[bytes], chance: random.Random) -> list[bytes]:
    """The message with one to three things wrong with it."""
    frames = list(frames)
    for _ in range(chance.choice([1, 1, 2, 3])):
        frames = chance.choice([_bytes, _bytes, _tree, _tree, _tree, _frames])(frames, chance)
    return frames


def _bytes(frames: list[bytes], chance: random.Random) -> list[bytes]:
    place = chance.randrange(len(frames))
    data = bytearray(frames[place])
    start = chance.randrange(len(data) + 1)
    kind = chance.randrange(5)
    if kind == 0 and data:
        data[start % len(data)] ^= 1 << chance.randrange(8)
    elif kind == 1:
        del data[start : start + chance.randrange(1, 20)]
    elif kind == 2:
        data[start:start] = chance.choice([b"\xff\xfe", b"\xc0\x80", b"\\ud800", b"[" * 2000, b"9" * 5000, b'"', b"{", chance.randbytes(9)])
    elif kind == 3:
        data = bytearray(chance.randbytes(chance.randrange(200)))
    else:
        data[start:start] = data[: chance.randrange(50)]
    frames[place] = bytes(data)
    return frames


def _tree(frames: list[bytes], chance: random.Random) -> list[bytes]:
    try:
        tree = json.loads(frames[0])
    except (ValueError, RecursionError):
        return frames
    places: list[tuple[Any, Any]] = []
    _collect(tree, places)
    if places:
        holder, key = chance.choice(places)
        if chance.random() < 0.15:
            del holder[key]
        elif chance.random() < 0.1 and isinstance(holder, dict):
            holder[chance.choice(["extra", "kind", "ids", "sizes"])] = holder[key]
        else:
            holder[key] = _other(holder[key], chance)
    return [json.dumps(tree).encode(), *frames[1:]]


def _other(value: Any, chance: random.Random) -> Any:
    """Another value; more often than not of the same kind, so that it gets past the model."""
    same: dict[type, list[Any]] = {int: WHOLES, str: TEXTS, float: NUMBERS, bool: [True, False]}
    if type(value) in same and chance.random() < 0.7:
        return chance.choice(same[type(value)])
    if isinstance(value, list) and value and chance.random() < 0.7:
        return chance.choice([value[:-1], value * 2, value[::-1], [*value, value[0]]])
    return chance.choice(HOSTILE)(chance)


def _collect(value: Any, places: list[tuple[Any, Any]]) -> None:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(pairs):
        places.append((value, key))
        _collect(item, places)


def _frames(frames: list[bytes], chance: random.Random) -> list[bytes]:
    kind = chance.randrange(4)
    if kind == 0:
        return frames + [b"more"] * chance.choice([1, 2, 3000])
    if kind == 1 and len(frames) > 1:
        return frames[:-1]
    if kind == 2:
        return frames[::-1]
    return [*frames, *frames]


class Target:
    """A manager that is fed by hand; what it answers goes nowhere."""

    def __init__(self) -> None:
        self.manager = TaskManager(ManagerSettings())
        self.manager.open()
        self.manager.send = self._sent  # type: ignore[method-assign]
        self.messages = 0

    def _sent(self, peer: Any, frames: list[Any], now: float) -> None:
        self.messages += 1

    def feed(self, who: str, frames: list[bytes]) -> None:
        """One message; raises whatever the manager does."""
        parts = [zmq.Frame(who.encode()), *(zmq.Frame(frame) for frame in frames)]
        self.manager.receive(Mail([], [(self.manager.router, parts)], []))

    def close(self) -> None:
        """Let the manager go."""
        self.manager.close()
        self.manager.mailbox.close()
