"""What starts quickly imports nothing heavy; how threads wait is set before torch is imported."""

import json
import os
import subprocess
import sys

import pytest

from tartan.cli.commands import COMMANDS
from tartan.cli.openmp import BRIEF, DECIDED, wait_briefly

pytestmark = pytest.mark.heavy

HEAVY = {"torch", "transformers", "datasets", "pyarrow", "accelerate", "matplotlib", "sklearn"}
PROGRAM = """
import json, os, sys
{statement}
print(json.dumps([sorted(sys.modules), dict(os.environ)]))
"""


@pytest.fixture(scope="module", autouse=True)
def _known() -> None:
    """A process without pytest's own directories has read what is installed."""
    after("from tartan.cli.survey import survey; survey()")


def after(statement: str, **environment: str) -> tuple[set[str], dict[str, str]]:
    """Run a statement in a new process; return its modules and its environment."""
    given = {"PATH": "/usr/bin:/bin", "TARTAN_CACHE": os.environ["TARTAN_CACHE"], **environment}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(statement=statement)],
        env=given, capture_output=True, text=True, check=True,
    )  # fmt: skip
    modules, left = json.loads(done.stdout.splitlines()[-1])
    return set(modules), left


LIGHT = [
    ["--help"], ["--version"], ["rnu"], [],
    ["run", "weighting=mta"], ["run", "stpes=3"], ["run", "steps=x"],
    ["run", "--cfg", "job"], ["run", "--hydra-help"],
    ["study", "study.seds=3"],
    *[[command, "--help"] for command in COMMANDS], ["new", "weighting", "-h"],
    ["completion", "bash"], ["completion", "--words", "run weighting="],
    ["completion", "--words", "check m"], ["completion", "--words", "study study.s"],
]  # fmt: skip
"""Command lines that need no torch."""


def test_what_needs_no_torch_does_not_import_it():
    """Of several in one process, each is one that did not."""
    modules, _ = after(
        "from tartan.cli import main\n"
        f"for arguments in {LIGHT}:\n"
        "    main(arguments)\n"
        f"    assert not {HEAVY} & set(sys.modules), arguments"
    )
    assert "tartan.cli" in modules


def test_each_command_is_listed_with_what_it_does(capsys: pytest.CaptureFixture[str]):
    from tartan.cli import main  # noqa: PLC0415

    assert main(["--help"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[:2] == "  "]
    assert listed == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_describes_itself(command: str, capsys: pytest.CaptureFixture[str]):
    from tartan.cli import main  # noqa: PLC0415

    assert main([command, "--help"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith(f"usage: python -m tartan {command}")


def test_the_library_is_imported_when_it_is_used():
    modules, environment = after("import tartan")
    assert not HEAVY & modules
    modules, environment = after("import tartan; tartan.Objective")
    assert "torch" in modules
    assert not set(BRIEF) & set(environment)


def test_a_function_is_not_hidden_by_the_module_of_its_name():
    after(
        "import tartan.train.step, tartan.backward, tartan; "
        "assert tartan.backward is tartan.public.backward; "
        "assert callable(tartan.backward); from tartan import *; Objective"
    )


def test_an_unknown_name_is_an_error():
    after("import tartan; assert not hasattr(tartan, 'Nothing')")


def test_threads_wait_briefly_before_torch_is_imported():
    _, environment = after("from tartan.cli import main; main(['--help'])")
    assert environment["GOMP_SPINCOUNT"] == BRIEF["GOMP_SPINCOUNT"]


@pytest.mark.parametrize("name", DECIDED)
def test_a_users_choice_of_how_threads_wait_stays(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    environment = {name: "1"}
    wait_briefly(environment)
    assert environment == {name: "1"}


def test_nothing_is_set_where_torch_has_been_imported(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch", sys)
    environment: dict[str, str] = {}
    wait_briefly(environment)
    assert not environment
