"""Plugins of other people: as `new` writes them, as the docs say, as the example is; installed."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.command import Answer
from tartan.cli import main

ROOT = Path(__file__).parents[2]
OURS = ("swapped", "inverse_loss", "length", "transposed")


def documented(directory: Path) -> Path:
    """The plugin that docs/plugins.md writes by hand."""
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    blocks = dict(reversed(re.findall(r"```(python|toml)\n(.*?)```", page, re.DOTALL)))
    directory.mkdir()
    (directory / "tartan_length.py").write_text(blocks["python"])
    (directory / "pyproject.toml").write_text(blocks["toml"])
    return directory


def packaged(directory: Path) -> Path:
    """The same plugin as a package with a configuration, as docs/plugins.md says."""
    section = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    section = section.partition("\n## Configurations\n")[2].partition("\n## ")[0]
    blocks = dict(re.findall(r"```(yaml|python|toml)\n(.*?)```", section, re.DOTALL))
    package = documented(directory) / "tartan_length"
    config = directory / re.findall(r"`([\w/]+\.yaml)`", section)[0]
    config.parent.mkdir(parents=True)
    config.write_text(blocks["yaml"])
    (package / "configs/__init__.py").touch()
    code, project = directory / "tartan_length.py", directory / "pyproject.toml"
    (package / "__init__.py").write_text(code.read_text() + "\n\n" + blocks["python"])
    code.unlink()
    before, found, _ = project.read_text().partition("[tool.setuptools]\n")
    assert found
    project.write_text(before + blocks["toml"])
    return directory


PIP = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", "site"]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory away from the checkout, with the plugins installed in `site/`."""
    here = tmp_path_factory.mktemp("elsewhere")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        assert main(["new", "objective", "swapped"]) == 0
        assert main(["new", "weighting", "inverse_loss"]) == 0
    shutil.copytree(ROOT / "examples" / "tartan-transposed", here / "tartan-transposed")
    documented(here / "length")
    sources = ("tartan-swapped", "tartan-inverse-loss", "tartan-transposed", "length")
    subprocess.run([sys.executable, *PIP, *(f"./{s}" for s in sources)], cwd=here, check=True)
    return here


COMMANDS = {
    "list": ["list"],
    "check": ["check", *OURS],
    "run": [
        "run", "objectives=[swapped,length,transposed]", "weighting=inverse_loss_slow",
        "objectives.length.batch_size=3", "steps=3", "batch_size=4", "model.hidden_size=16",
        "model.intermediate_size=32", "data.unlabelled=40", "data.dev=8", "data.test=8",
        "run_dir=out",
    ],
    "help": ["run", "--help"],
    "job": ["run", "--cfg", "job", "objectives=[swapped_domain]"],
}  # fmt: skip
PROGRAM = """
import contextlib, io, json, sys
from tartan.cli import main
answers = {}
for name, command in json.loads(sys.argv[1]).items():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        answers[name] = [main(command)]
    answers[name] += [out.getvalue(), err.getvalue()]
print(json.dumps(answers))
"""


def python(place: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run Python there."""
    environment = {**os.environ, "PYTHONPATH": "site", "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=place, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def answers(elsewhere: Path) -> dict[str, Answer]:
    """What the commands answer there, one after the other in one process."""
    done = python(elsewhere, "-c", PROGRAM, json.dumps(COMMANDS))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    return {name: Answer(*answer) for name, answer in said.items()}


def test_they_are_listed_with_their_distribution(answers: dict[str, Answer]):
    answer = answers["list"]
    assert (answer.status, answer.err) == (0, "")
    rows = {line.split("│")[1].strip(): line for line in answer.out.splitlines() if "│" in line}
    for name in OURS:
        assert f"tartan-{name.replace('_', '-')} 0.1.0" in rows[name]


def test_they_keep_what_every_plugin_promises(answers: dict[str, Answer]):
    answer = answers["check"]
    assert answer.status == 0, answer.out + answer.err
    assert "broken" not in answer.out.split("kept,")[0]


def test_the_tests_that_come_with_them_pass(elsewhere: Path):
    done = python(elsewhere, "-m", "pytest", "-q", "--import-mode=importlib",
                  "-p", "no:cacheprovider", "tartan-swapped/tests", "tartan-inverse-loss/tests",
                  "tartan-transposed/tests")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_they_run_by_configuration_their_variants_too(answers: dict[str, Answer]):
    ran = answers["run"]
    assert ran.status == 0, ran.err
    assert all(f"{name} 0." in ran.out for name in ("swapped", "length", "transposed"))
    helped = " ".join(answers["help"].out.split())
    assert "swapped, swapped_domain" in helped
    assert "inverse_loss, inverse_loss_slow" in helped
    assert "swapped_domain:" in answers["job"].out
    assert "corpus: domain" in answers["job"].out


def test_a_documented_plugin_with_a_configuration_works_once_it_is_installed(tmp_path: Path):
    packaged(tmp_path / "length")
    subprocess.run([sys.executable, *PIP, "./length"], cwd=tmp_path, check=True)
    done = python(tmp_path, "-m", "tartan", "run", "--cfg", "job", "objectives=[mlm,length_domain]")
    assert done.returncode == 0, done.stderr
    assert "  length_domain:\n    plugin: length\n" in done.stdout
    assert "    corpus: domain\n" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["objectve", "mine"], "usage: python -m tartan new objective|weighting NAME"),
        ([], "usage: python -m tartan new objective|weighting NAME"),
        (["objective"], "tartan: NAME is missing: give python -m tartan new objective NAME\n"),
        (["weighting", "a", "b"],
         "tartan: 'b' is one argument too many: give python -m tartan new weighting NAME\n"),
        (["objective", "Mine-Own"], "'Mine-Own' is not a valid plugin name"),
        (["objective", "mlm"], "the name 'mlm' is already used by tartan 0."),
        (["objective", "keys"], "no objective can have the name 'keys': choose another"),
        (["objective", "all"], "no objective can have the name 'all': choose another"),
        (["objective", "my_aux"], "no objective can have the name 'my_aux': choose another"),
        (["weighting", "there"], "tartan-there already exists"),
    ],
)  # fmt: skip
def test_new_refuses_what_cannot_be_new(
    arguments: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tartan-there").mkdir()
    assert main(["new", *arguments]) == 2
    assert line in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["tartan-there"]


def test_new_writes_all_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir("/proc")
    assert main(["new", "objective", "mine"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("tartan: tartan-mine cannot be written (")
    assert err.count("\n") == 1
    monkeypatch.chdir(tmp_path)
    write = Path.write_text

    def full(path: Path, *args: str, **options: str) -> int:
        if path.name == "README.md":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        assert main(["new", "objective", "mine"]) == 2
    assert "No space left on device): make room" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert main(["new", "objective", "mine"]) == 0
    assert (tmp_path / "tartan-mine/tests/test_mine.py").is_file()
