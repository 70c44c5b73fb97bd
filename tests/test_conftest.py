"""What tests can ask for does what it says; above all, the look for leaks bites."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = """
import subprocess, sys, threading
import pytest

HELD = []

def test_thread(no_leaks):
    thread = threading.Thread(target=threading.Event().wait, args=(5,), name="straggler", daemon=True)
    thread.start()

def test_process(no_leaks):
    HELD.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(5)"]))

def test_descriptor(no_leaks):
    HELD.append(open(__file__))

def test_clean(no_leaks):
    thread = threading.Thread(target=print)
    thread.start()

@pytest.mark.full
def test_long(figure, full):
    figure("rounds", 1234.5 if full else 0)
    HELD[0].kill()

def test_figure(figure, full):
    figure("rounds", 10 if not full else 0)

def teardown_module():
    HELD[0].kill()
    HELD[0].wait()
    HELD[1].close()
"""


@pytest.mark.parametrize(
    ("options", "passed", "skipped", "rounds"),
    [([], 5, 1, "10"), (["--full"], 6, 0, "1,234"), (["-n", "2", "--dist", "loadfile"], 5, 1, "10")],
)
def test_the_fixtures(pytester: pytest.Pytester, options: list[str], passed: int, skipped: int, rounds: str) -> None:
    pytester.makeconftest((Path(__file__).parent / "conftest.py").read_text().replace("SETTLE_SECONDS = 3.0", "SETTLE_SECONDS = 0.1"))
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\nmarkers = ['full: long']")
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess(*options)
    result.assert_outcomes(passed=passed, skipped=skipped, errors=3)
    for kind in ("thread straggler", "process", "descriptor"):
        result.stdout.fnmatch_lines([f"*left behind: {kind} *"])
    result.stdout.fnmatch_lines(["*= figures =*", f"rounds  {rounds}*"])
