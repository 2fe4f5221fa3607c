"""Plugins of other people: as `new` writes them, as the docs say, as the example is; installed."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tartan.cli import main

ROOT = Path(__file__).parents[2]
OURS = ("swapped", "inverse_loss", "length", "transposed")
Python = Callable[..., "subprocess.CompletedProcess[str]"]


def documented(directory: Path) -> Path:
    """The plugin that docs/plugins.md writes by hand."""
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    blocks = dict(reversed(re.findall(r"```(python|toml)\n(.*?)```", page, re.DOTALL)))
    directory.mkdir()
    (directory / "tartan_length.py").write_text(blocks["python"])
    (directory / "pyproject.toml").write_text(blocks["toml"])
    return directory


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
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", "site", *(f"./{s}" for s in sources)], cwd=here, check=True)
    return here


@pytest.fixture
def python(elsewhere: Path) -> Python:
    """Run Python there."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PYTHONPATH": "site", "COLUMNS": "200"}
        return subprocess.run(
            [sys.executable, *arguments], cwd=elsewhere, env=environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    return run


def test_they_are_listed_with_their_distribution(python: Python):
    done = python("-m", "tartan", "list")
    assert (done.returncode, done.stderr) == (0, "")
    rows = {line.split("│")[1].strip(): line for line in done.stdout.splitlines() if "│" in line}
    for name in OURS:
        assert f"tartan-{name.replace('_', '-')} 0.1.0" in rows[name]


def test_they_keep_what_every_plugin_promises(python: Python):
    done = python("-m", "tartan", "check", *OURS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "broken" not in done.stdout.split("kept,")[0]


def test_the_tests_that_come_with_them_pass(python: Python):
    done = python("-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider",
                  "tartan-swapped/tests", "tartan-inverse-loss/tests",
                  "tartan-transposed/tests")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_they_run_by_configuration_their_variants_too(python: Python):
    done = python(
        "-m", "tartan", "run", "objectives=[swapped,length,transposed]",
        "weighting=inverse_loss_slow", "objectives.length.batch_size=3", "steps=3", "batch_size=4",
        "model.hidden_size=16", "model.intermediate_size=32", "data.unlabelled=40", "data.dev=8",
        "data.test=8", "run_dir=out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert all(f"{name} 0." in done.stdout for name in ("swapped", "length", "transposed"))
    helped = " ".join(python("-m", "tartan", "run", "--help").stdout.split())
    assert "swapped, swapped_domain" in helped
    assert "inverse_loss, inverse_loss_slow" in helped
    asked = python("-m", "tartan", "run", "--cfg", "job", "objectives=[swapped_domain]")
    assert "swapped_domain:" in asked.stdout
    assert "corpus: domain" in asked.stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["objectve", "mine"], "usage: python -m tartan new objective|weighting NAME"),
        ([], "usage: python -m tartan new objective|weighting NAME"),
        (["objective", "Mine-Own"], "'Mine-Own' is not a valid plugin name"),
        (["objective", "mlm"], "the name 'mlm' is already used by tartan 0."),
        (["weighting", "there"], "tartan-there already exists"),
    ],
)
def test_new_refuses_what_cannot_be_new(
    arguments: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tartan-there").mkdir()
    assert main(["new", *arguments]) == 2
    assert line in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["tartan-there"]
