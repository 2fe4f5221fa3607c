"""How long a run still takes is estimated over all of its stages."""

import io
import itertools

import pytest
from rich.console import Console

from tartan.report.console import RunConsole
from tartan.report.pace import EVERY, FIRST, Pace, estimated
from tartan.weighting import Cost


def test_stages_that_have_not_begun_count_too():
    pace = Pace([10, 40])
    assert pace.left is None
    pace.stage(10, 100.0)
    for step in range(1, 6):
        pace.step(100.0 + 2 * step)
    assert pace.seconds_a_step == 2.0
    assert pace.left == 2.0 * (5 + 40)
    pace.stage(40, 120.0)  # ten seconds after the last step: time between stages counts
    assert pace.left == 4.0 * 40


def test_a_resumed_stage_has_fewer_steps_left():
    pace = Pace([10])
    pace.stage(3, 0.0)
    pace.step(1.0)
    assert pace.left == 2.0


def test_lines_are_neither_at_once_nor_too_frequent():
    pace = Pace([1000])
    pace.stage(1000, 0.0)
    said = []
    for now in range(1, 3000):
        pace.step(float(now))
        if pace.due():
            said.append(now)
    assert said[0] == FIRST
    assert min(b - a for a, b in itertools.pairwise(said)) >= EVERY
    assert said[-1] - said[-2] > 2 * EVERY


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0.4 s"), (89, "89 s"), (90, "2 min"), (3600, "1 h 0 min")]
)
def test_durations_are_in_words(seconds: float, text: str):
    assert estimated(seconds) == text


class NoFile:
    """metrics.jsonl, which is not of interest here."""

    def close(self) -> None:
        """Close nothing."""


def test_without_a_terminal_lines_tell_how_long_the_whole_run_takes():
    out, now = io.StringIO(), iter(range(0, 10_000, 7))
    console = RunConsole(NoFile(), Console(file=out, width=200), lambda: float(next(now)))  # type: ignore[arg-type]
    console.plan([("device", "cpu"), ("model", "tiny")], [4, 100])
    console.stage("joint", ("classification",), 4, 0, Cost(1, 1))
    for _ in range(4):
        console.step()
    console.close()
    lines = out.getvalue().splitlines()
    assert lines[:2] == ["device  cpu", "model   tiny"]
    assert lines[-1] == "  2 of 4 steps, 7 s each; about 12 min left"
