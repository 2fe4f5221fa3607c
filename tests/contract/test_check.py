"""`python -m tartan check`: a table for each plugin, and an exit status."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import pytest

from support.breakers import Faithful, Options, TakesTheMean
from support.weighting_breakers import Learning, Waits
from tartan import ModelError, Objective, Weighting
from tartan.cli import main
from tartan.plugins import Plugin, Plugins, Problem
from tartan.testing import ObjectiveContract, WeightingContract
from tartan_objectives.distil import Distil


@pytest.fixture
def check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Check plugins where those given are all that is installed."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*names: str, problems: tuple[Problem, ...] = (), **classes: type):
        objectives, weightings = (
            [
                Plugin(name, cls, "tartan-test 1.0")
                for name, cls in classes.items()
                if issubclass(cls, base)
            ]
            for base in (Objective, Weighting)
        )
        installed = Plugins(objectives, weightings, problems)
        monkeypatch.setattr("tartan.cli.check.discover", lambda: installed)
        status = main(["check", *names])
        return status, *capsys.readouterr()

    return run


def test_a_plugin_that_keeps_its_contract_is_shown_promise_by_promise(check: Callable):
    status, out, _ = check("good", good=Learning)
    assert status == 0
    results = Counter(
        line.rpartition("  ")[2]
        for rule in WeightingContract.rules()
        for line in map(str.rstrip, out.splitlines())
        if rule.promise in line
    )
    assert results == {"kept": 11, "not applicable": 3}, "it chooses no objectives"
    assert out.endswith("11 kept, 0 broken, 3 not applicable\n")


def test_a_broken_promise_is_shown_with_what_the_plugin_did(check: Callable):
    status, out, _ = check("bad", bad=Waits)
    assert status == 1
    assert "it waits for the device: Tensor.tolist" in out
    assert "  to fix: compute with tensors (torch.where, clamp) instead of item()" in out
    assert out.count("to fix:") == 1
    assert out.endswith("10 kept, 1 broken, 3 not applicable\n")


def test_without_a_name_all_are_checked_and_what_cannot_be_is_named(check: Callable):
    problem = Problem("tartan-ill 1.0", "plugin 'ill' failed: ImportError: no licence")
    status, out, err = check(mine=Faithful, bad=TakesTheMean, good=Learning, problems=(problem,))
    assert status == 1
    for title in ("objective mine", "objective bad", "weighting good"):
        assert title in out
    assert "split into micro-batches, the gradient of" in out
    assert err == f"tartan: cannot be used: {problem}\n"


def test_a_plugin_that_cannot_be_used_fails_a_check_of_all(check: Callable):
    problem = Problem("tartan-ill 1.0", "plugin 'ill' failed: ImportError: no licence")
    status, out, _ = check(good=Learning, problems=(problem,))
    assert "0 broken" in out
    assert status == 1
    status, _, err = check("good", good=Learning, problems=(problem,))
    assert (status, err) == (0, ""), "it was not asked for"


def test_a_plugin_that_needs_an_option_is_not_called_broken_without_it(check: Callable):
    status, out, _ = check("distil", distil=Distil)
    assert status == 0
    assert "it has to be given teacher: subclass ObjectiveContract and set `options`" in out
    others = len(ObjectiveContract.rules()) - 1
    assert out.endswith(f"1 kept, 0 broken, {others} not applicable\n")


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("goood", "no plugin 'goood' is installed: did you mean 'good'?"),
        ("--all", "check takes names of plugins, got '--all'"),
    ],
)
def test_what_is_no_plugin_is_refused(check: Callable, argument: str, line: str):
    status, out, err = check(argument, good=Learning)
    assert (status, out, err) == (2, "", f"tartan: {line}\n")


class WantsTheMoon(Faithful):
    def __init__(self, options, context):
        raise ModelError("objectives.mine needs the moon")


class Stumbles(Learning):
    Options = Options

    def update(self, signals):
        raise KeyError("[left]")


def test_a_plugin_that_the_tiny_world_cannot_serve_says_so(check: Callable):
    status, out, _ = check("far", far=WantsTheMoon)
    assert status == 1
    assert (
        "it cannot be built for the tiny task of tartan.testing (objectives.mine needs the" in out
    )
    assert "1 kept, " in out


def test_a_plugin_that_raises_is_shown_where_it_did(check: Callable):
    status, out, _ = check("ill", ill=Stumbles)
    assert status == 1
    assert "KeyError: '[left]' (" in out
    assert "test_check.py:" in out


@pytest.mark.heavy
def test_the_command_as_a_user_types_it():
    done = subprocess.run(
        [sys.executable, "-m", "tartan", "check", "static"],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "weighting static" in done.stdout
    assert done.stdout.endswith("11 kept, 0 broken, 3 not applicable\n")
    assert len(ObjectiveContract.rules()) == 21
