"""Studies killed at random moments, again and again, end with the table of an undisturbed one.

`python -m pytest -m soak -s tests/integration/test_study_kills.py`; a kill at one moment is in
test_study.py.
"""

import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.command import Answer
from support.studies import TINY, same

KILLS = 20
LAUNCHERS = {
    "basic": [],
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
}


def kill_at_random(process: "subprocess.Popen[str]", study: Path, rng: random.Random) -> int:
    """Kill a study at a random moment, mostly while it trains; how it ended."""
    if rng.random() < 0.8:  # else it may be starting still
        begun = time.time_ns()
        while process.poll() is None and not _trains(study, begun):
            time.sleep(0.01)
    time.sleep(rng.uniform(0, 2))
    process.send_signal(signal.SIGKILL)
    return process.wait()


def _trains(study: Path, begun: int) -> bool:
    """Whether a run has trained since a moment, in nanoseconds."""
    return any(path.stat().st_mtime_ns > begun for path in study.glob("*/*/metrics.jsonl"))


@pytest.mark.soak
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_study_killed_many_times_ends_as_an_undisturbed_one(
    launcher: str,
    spawn: Callable[..., "subprocess.Popen[str]"],
    tartan: Callable[..., Answer],
    tmp_path: Path,
):
    typed = [*TINY, "steps=60", "checkpoint.every=10"]
    assert tartan("study", *typed, "study.dir=whole").status == 0
    rng, killed, studies = random.Random(KILLS), 0, 0
    while killed < KILLS:
        where = f"killed{studies}"
        again = [*typed, f"study.dir={where}", *LAUNCHERS[launcher]]
        status: int | None = None
        while status != 0:
            process = spawn("study", *again)
            if killed < KILLS:
                status = kill_at_random(process, tmp_path / where, rng)
            else:
                process.communicate()
                status = process.returncode
            if status == -signal.SIGKILL:
                killed += 1
                done = len(list((tmp_path / where).glob("*/*/summary.json")))
                print(f"kill {killed}: {where}, {done} runs finished")
            assert status in (0, -signal.SIGKILL), process.communicate()
        same(tmp_path / where, tmp_path / "whole")
        studies += 1
    print(f"{killed} kills in {studies} studies: all alike")
