"""What the README shows is run, and prints what the README says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.port import free_port

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Snippet(NamedTuple):
    """A program of the README, what it is said to print, and the file that its first line names."""

    program: str
    output: str | None
    file: str | None


def snippets() -> list[Snippet]:
    blocks = BLOCK.findall(README)
    found = []
    for number, (language, text) in enumerate(blocks):
        if language == "python":
            follows = blocks[number + 1] if number + 1 < len(blocks) else ("", "")
            named = re.match(r"# (\w+\.py)\n", text)
            found.append(Snippet(text, follows[1] if follows[0] == "text" else None, named[1] if named else None))
    return found


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "CALLBOARD_HOME": str(folder / "home")}


def run(program: str, folder: Path) -> str:
    (folder / "script.py").write_text(program)
    command = [sys.executable, "-W", "error", "script.py"]
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("snippet", [each for each in snippets() if each.file is None], ids=lambda each: each.program.splitlines()[0])
def test_a_program_prints_what_the_text_says(snippet: Snippet, tmp_path: Path) -> None:
    assert snippet.output is not None, "say what it prints"
    assert run(snippet.program, tmp_path) == snippet.output


def test_manager_worker_and_client_are_started_as_the_text_says(tmp_path: Path) -> None:
    port = str(free_port())
    files = {each.file: each for each in snippets() if each.file is not None}
    (tmp_path / "studio.py").write_text(files["studio.py"].program)
    lines = [line.replace("8000", port) for line in README.splitlines() if re.match(r"callboard (manager|worker) ", line)]
    assert len(lines) == 2
    running = []
    try:
        for line in lines:
            program = [sys.executable, "-m", *line.split()]
            process = subprocess.Popen(
                program, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            running.append(process)
            assert process.stdout is not None
            assert port in process.stdout.readline()
        client = files["client.py"]
        assert run(client.program.replace("8000", port), tmp_path) == client.output
    finally:
        for process in reversed(running):
            process.terminate()
            assert process.wait(20) == 0
            assert process.stdout is not None
            process.stdout.close()


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_command_that_the_text_names_is_one() -> None:
    done = subprocess.run([sys.executable, "-m", "callboard", "--help"], capture_output=True, text=True, check=True)
    commands = {line.split()[0] for line in done.stdout.partition("Commands:")[2].splitlines() if line.strip()}
    named = set(re.findall(r"(?:^|`)callboard (\w+)", README, re.MULTILINE))
    assert {"manager", "worker", "events"} <= named
    assert named <= commands, named - commands
