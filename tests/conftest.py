"""What every test can ask for: full counts, figures in the summary, and a look for what was left behind."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, settings

FIGURES = pytest.StashKey[list[tuple[str, str]]]()
SETTLE_SECONDS = 3.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="full counts, and the tests marked full")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []
    # How long an example takes says how busy the machine is, so it is no reason to fail.
    settings.register_profile("short", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("full", settings.get_profile("short"), max_examples=2000)
    settings.load_profile("full" if config.getoption("--full") else "short")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full"):
        return
    skip = pytest.mark.skip(reason="runs only with --full")
    for item in items:
        if item.get_closest_marker("full") is not None:
            item.add_marker(skip)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    # One of several test processes hands its figures to the one that prints them.
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["figures"] = session.config.stash[FIGURES]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    output = getattr(node, "workeroutput", None)  # one that crashed has none
    if output is not None:
        node.config.stash[FIGURES] += map(tuple, output["figures"])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    figures = config.stash[FIGURES]
    if figures:
        terminalreporter.section("figures")
        width = max(len(name) for name, _ in figures)
        for name, value in figures:
            terminalreporter.write_line(f"{name:<{width}}  {value}")


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Whether the full counts are wanted."""
    return bool(pytestconfig.getoption("--full"))


@pytest.fixture(scope="session")
def figure(pytestconfig: pytest.Config) -> Callable[[str, object], None]:
    """Shows a figure in the summary at the end of the run."""

    def show(name: str, value: object) -> None:
        pytestconfig.stash[FIGURES].append((name, f"{value:,.4g}" if isinstance(value, float) else str(value)))

    return show


@pytest.fixture(autouse=True, scope="session")
def callboard_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keeps connection files out of the user's own folder, for the tests and for all processes they start."""
    home = tmp_path_factory.mktemp("home")
    before = os.environ.get("CALLBOARD_HOME")
    os.environ["CALLBOARD_HOME"] = str(home)
    yield home
    if before is None:
        del os.environ["CALLBOARD_HOME"]
    else:
        os.environ["CALLBOARD_HOME"] = before


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fails the test when threads, child processes or file descriptors outlive it."""
    before = _holdings()
    yield
    gc.collect()
    deadline = time.monotonic() + SETTLE_SECONDS
    # What was told to end may take a moment to be gone; what is still there after that is a leak.
    while (left := _holdings() - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    if left:
        pytest.fail("left behind: " + ", ".join(sorted(left)))


def _holdings() -> set[str]:
    threads = {f"thread {thread.name} ({thread.ident})" for thread in threading.enumerate()}
    return threads | _children() | _descriptors()


def _children() -> set[str]:
    return {f"process {child.pid}" for child in psutil.Process().children(recursive=True)}


def _descriptors() -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").glob("*"):
        try:
            found.add(f"descriptor {entry.name} -> {os.readlink(entry)}")
        except OSError:  # the one that lists the folder is gone by now
            continue
    return found
