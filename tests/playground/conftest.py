"""What the tests of the playground share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import port
from tests.playground.crew import Tally

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tally(tmp_path: Path) -> Tally:
    """Where this test's workers note what they execute."""
    return Tally(tmp_path / "tally")


@pytest.fixture(scope="module")
def module_tally(tmp_path_factory: pytest.TempPathFactory) -> Tally:
    """The same for workers that a whole module shares."""
    return Tally(tmp_path_factory.mktemp("tally") / "tally")


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Gives ports that nobody listens on."""
    return port.free_port


@pytest.fixture
def late_worker() -> Iterator[Callable[[str], None]]:
    """Starts a worker named late, a painter with oil 9, in a process of its own that joins an address."""
    started: list[subprocess.Popen[bytes]] = []
    program = "import sys; from tests.playground.crew import Noting; Noting('late', 'paint', skills={'oil': 9}).join(sys.argv[1])"

    def start(address: str) -> None:
        started.append(subprocess.Popen([sys.executable, "-c", program, address], cwd=ROOT))

    yield start
    for process in started:
        assert process.wait(20) == 0  # the manager has ended, and so has its worker
