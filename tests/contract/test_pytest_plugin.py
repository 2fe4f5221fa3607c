"""`pytest --tartan-plugin NAME`, and a subclass of a contract in a plugin's own tests."""

import subprocess
import sys

import pytest

import tartan.testing.examine  # noqa: F401
from tartan.plugins import discover
from tartan.testing import ObjectiveContract, WeightingContract

discover()  # a run in this process forgets what it imports first: nothing, now

SUBCLASS = """
from support.weighting_breakers import Waits
from tartan.testing import WeightingContract

class TestWaits(WeightingContract):
    weighting = Waits

def test_of_my_own():
    pass
"""


@pytest.fixture
def author(pytester: pytest.Pytester) -> pytest.Pytester:
    """A directory with the tests of a plugin's author."""
    pytester.makepyfile(test_mine=SUBCLASS)
    return pytester


def test_a_name_collects_the_contract_alone(author: pytest.Pytester):
    done = author.runpytest("-v", "--tartan-plugin", "static")
    done.assert_outcomes(passed=len(WeightingContract.rules()) - 3, skipped=3)
    done.stdout.fnmatch_lines("weighting/static::test_it_resumes_exactly_from_its_state PASSED*")
    assert done.ret == 0


def test_a_rule_that_does_not_apply_is_skipped_with_the_reason(author: pytest.Pytester):
    done = author.runpytest("-rs", "--tartan-plugin", "simcse", "-k", "micro_batches")
    done.assert_outcomes(skipped=1, deselected=len(ObjectiveContract.rules()) - 1)
    done.stdout.fnmatch_lines("SKIPPED*its rows interact in the loss: it declares separable*")


def test_paths_are_collected_beside_the_contract_and_a_subclass_is_a_test(author: pytest.Pytester):
    done = author.runpytest("-v", "--tartan-plugin", "meta", "-k", "waits or of_my", "test_mine.py")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines_random(
        [
            "*meta::test_nothing_waits_for_the_device PASSED*",
            "*test_of_my_own PASSED*",
            "*TestWaits::test_nothing_waits_for_the_device FAILED*",
            "*Broken: it waits for the device: Tensor.tolist",
        ]
    )


def test_a_broken_promise_is_told_in_two_lines(
    author: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
):
    def wait(self: object, signals: object) -> None:
        float(signals.losses[0])

    monkeypatch.setattr("tartan_weightings.static.Static.update", wait)
    done = author.runpytest("--tartan-plugin", "static", "-k", "waits")
    done.assert_outcomes(failed=1, deselected=len(WeightingContract.rules()) - 1)
    done.stdout.fnmatch_lines(
        [
            "*static: It never waits for a tensor's values*",
            "rule: It never waits for a tensor's values*",
            "broken: it waits for the device: Tensor.__float__",
            "to fix: compute with tensors *",
        ]
    )


def test_an_unknown_name_is_a_usage_error(author: pytest.Pytester):
    done = author.runpytest("--tartan-plugin", "statick")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines("ERROR: no plugin 'statick' is installed: did you mean 'static'?")


def test_a_session_that_does_not_use_it_does_not_import_torch():
    code = "import sys, tartan_pytest; sys.exit(bool({'tartan', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
