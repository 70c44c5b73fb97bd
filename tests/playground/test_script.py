"""Where a person writes their script: a file without a main guard, ``python -c``, standard input, a notebook."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.playground.program import Program

SCRIPT = """
import dataclasses, os, sys
from callboard import Playground, ProcessWorker, RetryPolicy, Task, task

LIMIT = 10

@dataclasses.dataclass
class Order:
    number: int

class TooMany(Exception):
    def __init__(self, number):
        super().__init__(number)
        self.number = number

class Counter(ProcessWorker):
    def __init__(self, name):
        super().__init__(name, "count")
        self.pid = os.getpid()

    def process(self, request):
        order = request.data
        if order.number > LIMIT:
            raise TooMany(order.number)
        return Order(order.number + 1), self.pid, os.getpid(), os.getcwd(), os.environ.get("MINE"), __name__

class Square(Task):
    def execute(self, value):
        return Order(value * value)

@task
def double(order):
    return Order(order.number * 2)

@task(retry_policy=RetryPolicy(max_attempts=3, retry_on=(TooMany,)))
def never(number):
    raise TooMany(number)

os.environ["MINE"] = "seen"
with Playground().play(workers=[Counter("ada"), *(ProcessWorker(f"plain-{n}", "python") for n in range(2))]) as stage:
    order, built, ran, folder, mine, name = stage.submit(Task(processor="count", input_data={"data": Order(4)})).result(20).unwrap()
    assert type(order) is Order and order == Order(5), order
    assert built == os.getpid() != ran and folder == os.getcwd() and mine == "seen" and name == "__main__"
    failed = stage.submit(Task(processor="count", input_data={"data": Order(11)})).result(20)
    try:
        failed.unwrap()
    except Exception as error:
        assert type(error.__cause__) is TooMany and error.__cause__.number == 11
    assert stage.submit(Square(input_data={"value": 3})).result(20).unwrap() == Order(9)
    assert stage.submit(double.task(Order(4))).result(20).unwrap() == Order(8)
    assert stage.submit(never.task(1)).result(20).attempts == 3
    assert stage.executor.submit(lambda order: order.number, Order(7)).result(20) == 7
    assert stage.fan_out(double, [Order(1), Order(2)], join=lambda orders: sum(order.number for order in orders)).result(20).output == 6
print("fine", file=sys.stdout)
"""

GLOBALS = """
from callboard import DistributedExecutor, ParallelExecutor, Playground, SyncExecutor, Task, task

spent = []

class Money:
    def spend(self):
        spent.append(self)
        return len(spent)

class Earn(Task):
    def execute(self):
        return Money()

@task
def earn():
    return Money()

def look(money, count):
    assert type(money) is Money
    assert [money.spend(), Money().spend(), len(spent)] == [count - 1, count, count], spent

with Playground().play(workers=1) as stage:
    look(stage.submit(earn.task()).result(20).unwrap(), 2)
    look(DistributedExecutor(stage).execute(Earn("earn")).output, 4)
with ParallelExecutor(1, processes=True) as executor:
    look(executor.execute(Earn("earn")).output, 6)
look(SyncExecutor(state="memory:").execute(Earn("earn")).output, 8)
print("fine")
"""

ASYNC = """
import asyncio
from callboard import Playground, ProcessWorker, Task

class Worker(ProcessWorker):
    async def process(self, request):
        await asyncio.sleep(0)
        return request.data

async def main():
    async with Playground().play(workers=[Worker("ada")]) as stage:
        results = await asyncio.gather(*[stage.add_and_execute_task(Task(processor="worker", input_data={"data": n})) for n in range(5)])
    print("fine" if [result.output for result in results] == [0, 1, 2, 3, 4] else results)

asyncio.run(main())
"""

NOTEBOOK = """
import ast, asyncio, sys

# What a notebook's kernel does: cells run one by one in the namespace of __main__, top-level awaits in a loop of its own.
namespace = sys.modules["__main__"].__dict__
loop = asyncio.new_event_loop()

def cell(number, source):
    code = compile(source, f"<cell {number}>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    value = eval(code, namespace)
    if value is not None:
        loop.run_until_complete(value)

cell(1, '''
from callboard import Playground, ProcessWorker, Task, task
class Worker(ProcessWorker):
    def process(self, request):
        return helper(request.data)
def helper(value):
    return value + 1
@task
def double(value):
    return helper(value) * 2
''')
cell(2, '''
playground = Playground()
block = playground.play(workers=[Worker("ada"), ProcessWorker("plain", "python")])
stage = await block.__aenter__()
''')
cell(3, '''
result = await stage.add_and_execute_task(Task(processor="worker", input_data={"data": 1}))
assert result.unwrap() == 2
assert (await stage.submit(double.task(3))).unwrap() == 8
''')
cell(4, '''
def helper(value):
    return value + 100
@task
def double(value):
    return helper(value) * 2
assert (await stage.submit(double.task(3))).unwrap() == 206  # what was written anew is what runs
''')
cell(5, '''
await block.__aexit__(None, None, None)
print("fine")
''')
loop.close()
"""

MODULES = """
import sys
from callboard import Playground, Task
import my_workers

with Playground().play(workers=[my_workers.Painter("ada")]) as stage:
    print(stage.submit(Task(processor="paint", input_data={"data": 2})).result(20).unwrap())
"""

MESSAGES = """
import actors, messages, playground
from callboard import Playground
assert (actors.mine, messages.mine, playground.mine) == (1, 2, 3)
with Playground().play(workers=1) as stage:
    print("fine" if stage.executor.submit(pow, 2, 3).result(20) == 8 else "wrong")
"""


@pytest.mark.parametrize("by", ["file", "-c", "stdin"])
def test_classes_and_functions_of_main_without_a_main_guard(tmp_path: Path, by: str) -> None:
    with Program(SCRIPT, tmp_path, by=by) as program:
        ended = program.end()
    assert (ended.code, ended.out, ended.err) == (0, "fine\n", "")


def test_a_class_of_a_script_still_sees_its_globals_when_an_instance_came_back(tmp_path: Path) -> None:
    with Program(GLOBALS, tmp_path) as program:
        ended = program.end()
    assert (ended.code, ended.out, ended.err) == (0, "fine\n", "")


def test_asyncio(tmp_path: Path) -> None:
    with Program(ASYNC, tmp_path) as program:
        ended = program.end()
    assert (ended.code, ended.out, ended.err) == (0, "fine\n", "")


def test_the_cells_of_a_notebook(tmp_path: Path) -> None:
    with Program(NOTEBOOK, tmp_path) as program:
        ended = program.end()
    assert (ended.code, ended.out, ended.err) == (0, "fine\n", "")


def test_modules_beside_the_script(tmp_path: Path) -> None:
    (tmp_path / "my_workers.py").write_text(
        "from callboard import ProcessWorker\nimport my_helper\n"
        "class Painter(ProcessWorker):\n"
        "    def __init__(self, name):\n        super().__init__(name, 'paint')\n"
        "    def process(self, request):\n        return my_helper.twice(request.data)\n"
    )
    (tmp_path / "my_helper.py").write_text("def twice(value):\n    return 2 * value\n")
    with Program(MODULES, tmp_path) as program:
        ended = program.end()
    assert (ended.code, ended.out, ended.err) == (0, "4\n", "")


def test_modules_of_ones_own_that_are_called_like_our_folders(tmp_path: Path) -> None:
    for number, name in enumerate(("actors", "messages", "playground"), start=1):
        (tmp_path / f"{name}.py").write_text(f"mine = {number}\n")
    with Program(MESSAGES, tmp_path) as program:
        ended = program.end()
    assert (ended.code, ended.out, ended.err) == (0, "fine\n", "")


def test_what_workers_print_comes_out(tmp_path: Path) -> None:
    script = """
from callboard import Playground, ProcessWorker, Task
class Talker(ProcessWorker):
    def process(self, request):
        print("from the worker")
print("before")
with Playground().play(workers=[Talker("ada")]) as stage:
    stage.submit(Task(processor="worker")).result(20)
print("after")
"""
    with Program(script, tmp_path) as program:
        ended = program.end()
    assert ended.code == 0 and ended.err == ""
    assert sorted(ended.out.split("\n")) == ["", "after", "before", "from the worker"]


def test_programs_that_tasks_start_can_be_interrupted_again(tmp_path: Path) -> None:
    script = """
import subprocess, sys
from callboard import Playground
def child():
    program = "import signal as s; print(s.getsignal(s.SIGINT) is s.default_int_handler, s.pthread_sigmask(s.SIG_BLOCK, []))"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout
with Playground().play(workers=1) as stage:
    print(stage.executor.submit(child).result(20), end="")
"""
    with Program(script, tmp_path) as program:
        ended = program.end()
    assert (ended.code, ended.out, ended.err) == (0, "True set()\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="a process is told of its parent's death on Linux alone")
def test_a_script_that_is_killed_takes_its_workers_along(tmp_path: Path) -> None:
    script = """
import time
from callboard import Playground
with Playground().play(workers=2) as stage:
    stage.executor.submit(time.sleep, 60)
    print("inside", flush=True)
    time.sleep(60)
"""
    with Program(script, tmp_path) as program:
        assert program.line() == "inside"
        program.process.kill()
        program.process.wait()
        assert program.others(3.0) == []


def test_a_script_that_leaves_by_sys_exit(tmp_path: Path) -> None:
    script = """
import sys, time
from callboard import Playground
with Playground().play(workers=1) as stage:
    stage.executor.submit(time.sleep, 60)
    sys.exit(5)
"""
    with Program(script, tmp_path) as program:
        ended = program.end()
    assert (ended.code, ended.err) == (5, "")


def test_a_script_that_never_leaves_its_block_ends_all_the_same(tmp_path: Path) -> None:
    script = """
from callboard import Playground, ProcessWorker
block = Playground().play(workers=1)
stage = block.__enter__()
print(stage.executor.submit(pow, 2, 3).result(20))
"""
    with Program(script, tmp_path) as program:
        ended = program.end()
    assert (ended.code, ended.out, ended.err) == (0, "8\n", "")
