"""A shell completes commands, their words, choices and options."""

import os
import pty
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tartan.cli import main
from tartan.cli.commands import COMMANDS
from tartan.cli.complete import complete

SCRIPT = Path(__file__).parents[3] / "tartan/cli/completion_scripts"
ASK = """
source {script}
COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}
COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
{function}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("line", "among"),
    [
        ("", "run"),
        ("--v", "--version"),
        ("ru", "run"),
        ("run weighting=me", "weighting=meta"),
        ("run 'objectives=[ml", "objectives=[mlm"),
        ("run objectives=[mlm,rt", "objectives=[mlm,rtd"),
        ("run optimizer.body", "optimizer.body_lr="),
        ("run weighting=meta weighting.pr", "weighting.probe."),
        ("run --mult", "--multirun"),
        ("study study.se", "study.seeds="),
        ("study sched", "schedule="),
        ("check ml", "mlm"),
        ("new obj", "objective"),
        ("completion z", "zsh"),
    ],
)
def test_a_line_is_completed(line: str, among: str):
    assert among in complete(line)


@pytest.mark.parametrize("line", ["rnu weighting=", "new objective mine x", "run nothing.at", "x "])
def test_nothing_follows_what_is_unknown(line: str):
    assert complete(line) == []


def test_a_chosen_objective_is_not_offered_again():
    assert "objectives=[mlm,mlm" not in complete("run objectives=[mlm,m")


def test_every_command_is_offered():
    assert set(COMMANDS) <= set(complete(""))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_that_it_can_read(shell: str, capsys: pytest.CaptureFixture[str]):
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert text == (SCRIPT / f"tartan.{shell}").read_text()
    assert f"tartan completion {shell}" in text
    if shutil.which(shell):
        subprocess.run([shell, "-n", SCRIPT / f"tartan.{shell}"], check=True)


@pytest.mark.parametrize(
    ("line", "function", "replies"),
    [
        ("tartan run weighting=sta", "_tartan", ["static"]),
        ("python -m tartan compl", "_tartan_python", ["completion"]),
        ("python -m tartan run data=hyp", "_tartan_python", ["hyperpartisan"]),
    ],
)
def test_bash_completes_what_follows_the_last_break(
    line: str, function: str, replies: list[str], tmp_path: Path
):
    """In bash `=` ends a word, so that only what follows it is replaced."""
    programs(tmp_path)
    asked = ASK.format(script=SCRIPT / "tartan.bash", line=line, function=function)
    done = subprocess.run(
        ["bash", "-c", asked], env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == replies


ARGUMENTS = {"python": "", "tartan": "-m tartan"}
LINES = {
    "tartan run weighting=sta": "tartan run weighting=static",
    "python -m tartan run data=hyp": "python -m tartan run data=hyperpartisan",
}


def programs(directory: Path) -> None:
    """Make `python` and `tartan` those that are tested."""
    for name in ("python", "tartan"):
        (directory / name).write_text(f'#!/bin/sh\nexec {sys.executable} {ARGUMENTS[name]} "$@"\n')
        (directory / name).chmod(0o755)


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_completes_lines(tmp_path: Path):
    programs(tmp_path)
    asked = "; ".join(f"complete -C '{line}'" for line in LINES)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {SCRIPT / 'tartan.fish'}; {asked}"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [line.split()[-1] for line in LINES.values()]


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_completes_lines(tmp_path: Path):
    """In a terminal, as zsh completes nothing elsewhere: a line, Tab, and what is there then."""
    programs(tmp_path)
    (tmp_path / ".zshrc").write_text(
        f"autoload -Uz compinit; compinit -u -d {tmp_path}/dump; "
        f"source {SCRIPT / 'tartan.zsh'}; PS1='READY> '\n"
    )
    environment = {
        **os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "ZDOTDIR": str(tmp_path),
        "TERM": "dumb",
    }  # fmt: skip
    for line, completed in LINES.items():
        process, terminal = pty.fork()
        if process == 0:
            os.execvpe("zsh", ["zsh", "-i"], environment)
        read_until(terminal, "READY> ")
        os.write(terminal, f"{line}\t".encode())
        assert completed in read_until(terminal, completed)
        os.close(terminal)
        os.waitpid(process, 0)


def read_until(terminal: int, expected: str) -> str:
    """Read a terminal until something stands there, or nothing comes for two minutes."""
    found = ""
    while expected not in found and select.select([terminal], [], [], 120)[0]:
        found += os.read(terminal, 4096).decode()
    return found


def test_an_unknown_shell_is_one_line(capsys: pytest.CaptureFixture[str]):
    assert main(["completion", "zhs"]) == 2
    expected = "usage: python -m tartan completion bash|zsh|fish (did you mean 'zsh'?)"
    assert capsys.readouterr().err == f"tartan: {expected}\n"
