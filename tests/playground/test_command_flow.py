"""``callboard flow``, with processes of its own and a SQLite file between them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callboard import Playground, ProcessRequest, ProcessWorker
from callboard.engines import SyncExecutor
from callboard.flows import LinearFlow
from callboard.playground.command.flow import open_state
from callboard.state import StateManager

ROOT = Path(__file__).parents[2]

SHOP = """
import os
from callboard.flows import LinearFlow, Task, UnorderedFlow, WaitForSignal

class Step(Task):
    def execute(self):
        with open("ran", "a") as lines:
            lines.write(self.name + "\\n")
        return self.name

class Dies(Step):
    def execute(self):
        if not os.path.exists("mended"):
            open("mended", "w").close()
            os._exit(3)
        return super().execute()

class Answers(Step):
    def execute(self, answer):
        super().execute()
        return {"answer": answer}

class Bad(Step):
    def execute(self):
        raise OSError("disk [full]")

def line(count, prefix="a"):
    return LinearFlow("line").add(*(Step(f"{prefix}{n}", provides=f"{prefix}{n}") for n in range(count)))

def mortal():
    return LinearFlow("mortal").add(Step("before"), UnorderedFlow("some").add(Step("one"), Dies("dies"), Step("two")), Step("after"))

def asking():
    return LinearFlow("asking").add(Step("before"), WaitForSignal("approved", provides="answer"), Answers("after"))

def failing():
    return LinearFlow("failing").add(Step("before"), Bad("bad [b]"))

def painting():
    return LinearFlow("painting").add(Step("before"), Task("sketch", "paint", provides="sketch"), Answers("after", rebind=["sketch"]))

def raising():
    raise RuntimeError("no shop\\ntoday")
"""

BEGIN = """
import json, sys, shop
from callboard import Playground, ProcessRequest, ProcessWorker
from callboard.engines import SyncExecutor
run_id, name, args = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
with SyncExecutor(state="sqlite:///runs.db") as executor:
    executor.execute(getattr(shop, name)(*args), {"url": "x"}, run_id=run_id, factory=f"shop:{name}", factory_args=args)
"""

CASES = """
import contextlib, io, json, sys
from callboard.playground.command import main

for case in json.load(sys.stdin):
    told = io.StringIO()
    hidden = {name: sys.modules.get(name) for name in case["hidden"]}
    sys.modules.update(dict.fromkeys(hidden))
    sys.argv = ["callboard", "flow", *case["arguments"]]
    code = 0
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    for name, module in hidden.items():
        sys.modules.pop(name) if module is None else sys.modules.update({name: module})
    print(json.dumps([code, told.getvalue()]), flush=True)
"""


class Shop:
    """A folder with a module of flows, and processes that work there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "CALLBOARD_STORE": "sqlite:///runs.db"}
        (folder / "shop.py").write_text(SHOP)

    def python(self, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", *arguments]
        variables = {**self.environment, **environment}
        return subprocess.run(command, cwd=self.folder, env=variables, input=stdin, capture_output=True, text=True, timeout=50)

    def begin(self, run_id: str, name: str, *args: Any, **environment: str) -> int:
        """Begin a run in a process of its own; how that ended."""
        return self.python("-c", BEGIN, run_id, name, json.dumps(args), **environment).returncode

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", *arguments]
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def flow(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "callboard", "flow", *arguments)

    def show(self, run_id: str) -> dict[str, Any]:
        ended = self.flow("show", run_id, "--json")
        assert ended.returncode == 0, ended.stderr
        found: dict[str, Any] = json.loads(ended.stdout)
        return found

    def ran(self) -> list[str]:
        return (self.folder / "ran").read_text().split()

    def state(self) -> StateManager:
        return StateManager(f"sqlite:///{self.folder}/runs.db")

    def wait_for_status(self, run_id: str, atom: str, state: str) -> None:
        with self.state() as manager:
            while not manager.runs() or manager.states(run_id).get(atom) != state:
                time.sleep(0.02)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_a_killed_run_is_listed_shown_and_resumed(shop: Shop) -> None:
    # The fifth write is to tell that the third atom has ended and the fourth begins.
    assert shop.begin("killed", "line", 5, "a", CALLBOARD_CRASH_AT="5") == -signal.SIGKILL
    assert shop.begin("other", "line", 1, "b") == 0

    listed = json.loads(shop.flow("list", "--json").stdout)
    assert [(run["id"], run["flow"], run["status"]) for run in listed] == [("killed", "line", "running"), ("other", "line", "completed")]
    assert [run["id"] for run in json.loads(shop.flow("list", "--status", "running", "--json").stdout)] == ["killed"]
    table = shop.flow("list", "--status", "completed").stdout.splitlines()
    assert [line.split()[:4] for line in table] == [["run", "flow", "status", "atoms"], ["other", "line", "completed", "1"]]

    shown = shop.show("killed")
    assert shown["factory"] == {"name": "shop:line", "args": [5, "a"], "kwargs": {}}
    assert shown["inputs"] == {"url": "x"}
    atoms = [(atom["name"], atom["state"], atom["result"]) for atom in shown["atoms"]]
    done, running = [("a0", "completed", "a0"), ("a1", "completed", "a1")], [("a2", "running", None)]
    assert atoms == [*done, *running, ("a3", "pending", None), ("a4", "pending", None)]

    ended = shop.flow("resume", "killed")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "run killed of flow 'line': completed, 5 of 5 atoms completed\n"
    # The atom that the crash fell into runs again, none that had ended does.
    assert shop.ran() == ["a0", "a1", "a2", "b0", "a2", "a3", "a4"]
    shown = shop.show("killed")
    assert (shown["status"], {atom["state"] for atom in shown["atoms"]}) == ("completed", {"completed"})
    assert [row["new"] for row in shown["history"] if row["atom"] == "a1"] == ["running", "completed"]


def test_a_run_whose_task_ends_the_process_is_resumed_in_parallel(shop: Shop) -> None:
    assert shop.begin("mortal", "mortal") == 3
    ended = shop.flow("resume", "mortal", "--engine", "parallel")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(shop.ran()) == ["after", "before", "dies", "one", "two"]
    again = shop.flow("resume", "mortal")  # it has ended: nothing runs
    assert (again.returncode, len(shop.ran())) == (0, 5)


class Painter(ProcessWorker):
    def process(self, request: ProcessRequest) -> str:
        return f"{self.name} painted"


def test_a_run_that_needs_workers_is_resumed_on_them(
    shop: Shop, tmp_path: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with shop.state() as manager:
        manager.begin("paint", "painting", factory="shop:painting")
    alone = shop.flow("resume", "paint")
    assert alone.returncode == 1 and "'sketch' has processor 'paint': only DistributedExecutor can run it" in alone.stderr

    monkeypatch.setenv("CALLBOARD_HOME", str(tmp_path / "home"))
    shop.environment["CALLBOARD_HOME"] = str(tmp_path / "home")
    monkeypatch.chdir(tmp_path)  # so that the plain worker finds the shop
    monkeypatch.syspath_prepend(str(tmp_path))
    port = free_port()
    with Playground("studio", port=port).play(workers=[Painter("eve", role="paint"), ProcessWorker("bob", role="python")]):
        ended = shop.flow("resume", "paint", "--workers", f"tcp://127.0.0.1:{port}")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "run paint of flow 'painting': completed, 3 of 3 atoms completed\n"
    results = {atom["name"]: atom["result"] for atom in shop.show("paint")["atoms"]}
    assert results == {"before": "before", "sketch": "eve painted", "after": {"answer": "eve painted"}}
    assert shop.ran() == ["before", "after"]


def test_a_run_that_waits_outlives_its_process_and_is_released_by_a_signal(shop: Shop) -> None:
    first = shop.start("-c", BEGIN, "ask", "asking", "[]")
    shop.wait_for_status("ask", "wait for approved", "waiting")
    first.kill()
    first.communicate()

    second = shop.start("-m", "callboard", "flow", "resume", "ask")
    with shop.state() as manager:
        while len(manager.history("ask")) < 6:  # it has taken the run up
            time.sleep(0.02)
    second.send_signal(signal.SIGINT)
    told, complaint = second.communicate(timeout=30)
    assert (second.returncode, told) == (1, "run ask of flow 'asking': suspended, 1 of 3 atoms completed; waiting: wait for approved\n")
    assert complaint.startswith("callboard: suspending")
    assert shop.show("ask")["status"] == "suspended"

    sent = shop.flow("signal", "ask", "approved", '{"by": "ann", "sum": 3}')
    assert (sent.returncode, sent.stdout) == (0, "run ask (suspended) has got 'approved'; callboard flow resume ask goes on\n")
    assert shop.show("ask")["signals"] == {"approved": {"by": "ann", "sum": 3}}
    assert shop.flow("resume", "ask").returncode == 0
    assert shop.ran() == ["before", "after"]
    assert shop.show("ask")["atoms"][-1]["result"] == {"answer": {"by": "ann", "sum": 3}}


def test_a_signal_releases_a_run_that_another_process_carries_out(shop: Shop) -> None:
    running = shop.start("-c", BEGIN, "ask", "asking", "[]")
    shop.wait_for_status("ask", "wait for approved", "waiting")
    sent = shop.flow("signal", "ask", "approved")
    assert (sent.returncode, sent.stdout) == (0, "run ask (running) has got 'approved'\n")
    assert running.communicate(timeout=30) == ("", "")
    assert running.returncode == 0
    assert shop.show("ask")["atoms"][-1]["result"] == {"answer": None}


def test_a_run_that_fails_says_so_and_is_shown_with_its_failures(shop: Shop) -> None:
    assert shop.begin("bad", "failing", CALLBOARD_CRASH_AT="3") == -signal.SIGKILL
    ended = shop.flow("resume", "bad")
    assert ended.returncode == 1
    assert ended.stdout == "run bad of flow 'failing': reverted, 0 of 2 atoms completed\n"
    assert ended.stderr == "callboard: bad [b]: OSError: disk [full]\n"
    shown = shop.show("bad")
    assert (shown["failures"]["bad [b]"]["type"], shown["failures"]["bad [b]"]["message"]) == ("OSError", "disk [full]")
    lines = shop.flow("show", "bad").stdout.splitlines()
    assert lines[0] == "bad  failing  reverted"
    assert "bad [b]: OSError: disk [full]" in lines
    assert any(line.split() == ["bad", "[b]", "reverted", "1", "OSError:", "disk", "[full]"] for line in lines)
    assert any(line.rstrip().endswith("reverting -> reverted") for line in lines)


def test_what_is_wrong_is_told_in_one_line(shop: Shop) -> None:
    (shop.folder / "broken.py").write_text("1 / 0\n")
    (shop.folder / "text").write_text("this is no database, whatever its name may be\n")
    factories = {"gone": "nowhere:make", "less": "shop:nothing", "broken": "broken:make", "raises": "shop:raising", "plain": None}
    with shop.state() as manager:
        for run_id, factory in factories.items():
            manager.begin(run_id, "f", factory=factory)
        SyncExecutor(state=manager).execute(LinearFlow("f").add(), run_id="over")
    expected: list[tuple[list[str], int, str]] = [
        (["show", "lost"], 1, "no run 'lost' is kept in this store"),
        (["resume", "lost"], 1, "no run 'lost' is kept in this store"),
        (["signal", "lost", "x"], 1, "no run 'lost' is kept in this store"),
        (["signal", "over", "x"], 1, "run over is completed; nothing in it waits for a signal any more"),
        (["signal", "plain", "x", "yes"], 2, "VALUE-JSON is no JSON"),
        (["resume", "gone"], 2, "factory 'nowhere:make' cannot be imported: No module named 'nowhere'"),
        (["resume", "less"], 2, "factory 'shop:nothing' cannot be imported: module 'shop' has no attribute 'nothing'"),
        (["resume", "broken"], 2, "factory 'broken:make' cannot be imported: ZeroDivisionError: division by zero"),
        (["resume", "raises"], 1, "factory 'shop:raising' made no flow: RuntimeError: no shop today"),
        (["resume", "plain"], 2, "run 'plain' was begun without a factory"),
        (["resume", "over", "--workers", "tcp://127.0.0.1:1", "--engine", "serial"], 2, "--engine says who carries the run out here"),
        (["resume", "over", "--key", "text"], 2, "--key goes with --workers"),
        (["resume", "over", "--workers", "nowhere"], 2, "'nowhere'"),
        (["list", "--store", "nonsense"], 2, "a store is 'memory:', 'sqlite:///path'"),
        (["list", "--store", "mysql://me:secret@host/x"], 2, "not 'mysql://me:***@host/x'"),
        (["list", "--store", "sqlite:///text"], 1, "the store sqlite+pysqlite:///text cannot be opened: file is not a database"),
        (["list", "--store", "postgresql://me:secret@127.0.0.1:1/x"], 1, "me:***@127.0.0.1:1/x cannot be opened: connection failed"),
    ]
    cases = [{"arguments": arguments, "hidden": []} for arguments, _, _ in expected]
    for package, url, extra in (("psycopg", "postgresql://h/x", "postgres"), ("redis", "redis://h/0", "redis")):
        cases.append({"arguments": ["list", "--store", url], "hidden": [package]})
        expected.append(([], 1, f"{package} is needed for this: pip install 'callboard[{extra}]'"))
    ended = shop.python("-c", CASES, stdin=json.dumps(cases))
    assert (ended.returncode, ended.stderr) == (0, "")
    for case, line, (_, code, text) in zip(cases, ended.stdout.splitlines(), expected, strict=True):
        found, told = json.loads(line)
        assert found == code, (case, told)
        assert text in told and told.startswith("callboard: ") and told.count("\n") == 1, (case, told)


def test_the_sql_extra_is_named_where_it_is_missing(shop: Shop) -> None:
    shop.state().close()
    ended = shop.python("-c", CASES, stdin=json.dumps([{"arguments": ["list"], "hidden": ["sqlalchemy"]}]))
    assert json.loads(ended.stdout) == [1, "callboard: sqlalchemy is needed for this: pip install 'callboard[sql]'\n"]


@pytest.mark.parametrize(
    ("url", "text"),
    [(None, "give --store URL"), ("", "give --store URL"), ("memory:", "ends with its"), ("sqlite:///{}/no.db", "there is no file")],
)
def test_a_store_that_cannot_be_meant(url: str | None, text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=text):
        open_state(None if url is None else url.format(tmp_path))
    assert list(tmp_path.iterdir()) == []  # and no file was made
