"""The command line as a whole."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.playground.command.conftest import Terminal

COMMANDS = ("manager", "worker", "status", "events", "submit", "explain", "dump", "keys")


def test_help_names_every_command(terminal: Terminal) -> None:
    code, out, err = terminal.run("--help")
    assert (code, err) == (0, [])
    assert set(COMMANDS) <= {line.split()[0] for line in out if line.strip()}


def test_an_unknown_command_is_no_traceback(terminal: Terminal) -> None:
    code, _, err = terminal.run("mangaer")
    assert code == 2
    assert "No such command 'mangaer'" in "\n".join(err)
    assert "Traceback" not in "\n".join(err)


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_without_the_extra_it_says_what_to_install(package: str) -> None:
    program = f"import sys; sys.modules[{package!r}] = None; from callboard.playground.command import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"callboard: {package} is needed for this: pip install 'callboard[cli]'\n"


def test_ctrl_c_is_heard_while_the_commands_are_imported() -> None:
    program = (
        "import signal, sys, os\n"
        "class Impatient:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Impatient())\n"
        "from callboard.playground.command import main\n"
        "assert 'zmq' not in sys.modules and 'pydantic' not in sys.modules\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
