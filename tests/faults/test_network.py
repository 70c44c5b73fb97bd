"""A link that is cut between the manager and its peers, which live in another network namespace."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from callboard import Playground
from tests.faults.conftest import Start
from tests.faults.crew import await_lines, lines, order
from tests.playground.crew import until

Figure = Callable[[str, object], None]
_numbers = itertools.count()

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="network namespaces need root and iproute2")


class Wire(NamedTuple):
    """A namespace and the link to it."""

    namespace: str
    device: str
    host: str

    def cut(self) -> None:
        """Take the link down."""
        ip("link", "set", self.device, "down")

    def mend(self) -> None:
        """Take it up again."""
        ip("link", "set", self.device, "up")

    @property
    def inside(self) -> tuple[str, ...]:
        """What a command is begun with to run in the namespace."""
        return ("ip", "netns", "exec", self.namespace)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def wire() -> Iterator[Wire]:
    name = f"cb{os.getpid()}-{next(_numbers)}"
    try:
        ip("netns", "add", name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
    number = _connect(name)
    outer, inner, host = f"cbo{number}", f"cbi{number}", f"10.231.{number}.1"
    try:
        ip("addr", "add", f"{host}/24", "dev", outer)
        ip("link", "set", outer, "up")
        ip("-n", name, "addr", "add", f"10.231.{number}.2/24", "dev", inner)
        ip("-n", name, "link", "set", inner, "up")
        ip("-n", name, "link", "set", "lo", "up")
        yield Wire(name, outer, host)
    finally:
        subprocess.run(["ip", "link", "del", outer], capture_output=True)
        ip("netns", "del", name)


def _connect(name: str) -> int:
    """Lay a wire to the namespace, with the first number that no other process of tests has; returns the number."""
    for number in range(250):
        try:
            ip("link", "add", f"cbo{number}", "type", "veth", "peer", "name", f"cbi{number}", "netns", name)
            return number
        except subprocess.CalledProcessError as error:
            if b"File exists" not in error.stderr:
                ip("netns", "del", name)
                raise
    raise AssertionError("every number is taken")


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("seconds", [3, pytest.param(5, marks=pytest.mark.full), pytest.param(60, marks=pytest.mark.full)])
def test_all_tasks_end_when_the_link_is_back(seconds: int, wire: Wire, tmp_path: Path, port: int, start: Start, figure: Figure) -> None:
    key, ended, marks = tmp_path / "key", tmp_path / "ended", tmp_path / "marks"
    lost = threading.Event()
    with Playground(port=port, host=wire.host, key_file=key).play(workers=[]) as stage:
        stage.on("worker.lost", lambda event: lost.set())
        address = f"tcp://{wire.host}:{port}"
        for name in ("ada", "bob"):
            start("worker", address, key, name, prefix=wire.inside)
        start("client", address, key, 200, 0.02, ended, prefix=wire.inside)
        mine = [stage.submit(order("mark", (str(marks), 0.02))) for _ in range(50)]
        await_lines(ended, 20)
        wire.cut()
        cut = time.monotonic()
        assert lost.wait(10)
        figure("link cut: worker lost after (s)", time.monotonic() - cut)
        time.sleep(max(0.0, seconds - (time.monotonic() - cut)))
        during = len(lines(ended))
        wire.mend()
        mended = time.monotonic()
        await_lines(ended, during + 1)
        figure(f"link cut for {seconds} s: a client there has the next result after (s)", time.monotonic() - mended)
        outcomes = [line.split() for line in await_lines(ended, 200, 60)]
        assert {status for _, status, _ in outcomes} == {"completed"}
        assert len({task_id for task_id, _, _ in outcomes}) == len(outcomes) == 200
        assert [handle.result(30).unwrap() for handle in mine] == [handle.task_id for handle in mine]
        until(lambda: len(stage.workers) == 2, "the return of both workers")


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("no_leaks")
def test_what_ended_while_a_client_was_cut_off_is_delivered(wire: Wire, tmp_path: Path, port: int, start: Start) -> None:
    """The worker is on the manager's side, so that all results are made while the client cannot be reached."""
    key, ended = tmp_path / "key", tmp_path / "ended"
    with Playground(port=port, host=wire.host, key_file=key).play(workers=[]) as stage:
        address = f"tcp://{wire.host}:{port}"
        start("client", address, key, 100, 0.02, ended, prefix=wire.inside)
        while stage.task_manager.overview()["ready"] < 100:
            time.sleep(0.01)
        wire.cut()
        time.sleep(2.5)  # longer than it takes to be taken for unreachable
        start("worker", address, key, "ada")
        while stage.task_manager.overview()["open"]:
            time.sleep(0.05)
        assert lines(ended) == []
        wire.mend()
        outcomes = [line.split() for line in await_lines(ended, 100)]
        assert {(status, attempts) for _, status, attempts in outcomes} == {("completed", "1")}
