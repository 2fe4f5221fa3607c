"""Run a regime of docs/evidence.md: trials of each arm by sweeps, then the study.

    python -m benchmarks.evidence.chain DIRECTORY REGIME [--jobs N] [--seeds N] [OVERRIDE ...]

DIRECTORY holds `data/` and `models/`; results are written beside them. The same command resumes
what was stopped. `select-REGIME/chosen.json` has the values that trials chose on dev, and
`study-REGIME/` is the study. Where runs have a part of the labels, their models are then scored on
the other rows (`benchmarks/evidence/unseen.py`). Overrides apply to all trials and runs.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import prod
from pathlib import Path
from typing import Any

from benchmarks.evidence.regimes import TRIAL_SEED, Regime, regime
from benchmarks.evidence.unseen import score_study

CONFIGURATIONS = Path(__file__).parent / "conf"
PAIR = 2
"""Trials of an arm that run at a time, beside those of other arms."""


def chosen_values(
    name: str, what: Regime, jobs: int = 1, more: Sequence[str] = ()
) -> dict[str, list[str]]:
    """Run the trials that are missing, and return by arm the values that are best on dev.

    Args:
        name: the regime's.
        what: the regime.
        jobs: how many trials run at a time.
        more: overrides of all trials.
    """
    place = what.directory / f"select-{name}"
    chosen: dict[str, list[str]] = {}
    parallel = launcher(min(jobs, PAIR))

    def tried(arm: str) -> list[dict[str, Any]]:
        return _trials(place / arm, what, arm, (*more, *parallel))

    with ThreadPoolExecutor(max(1, jobs // PAIR)) as pool:
        for arm, found in zip(what.arms, pool.map(tried, what.arms), strict=True):
            chosen[arm] = max(found, key=lambda trial: float(trial["dev"]))["values"]
            content = {"chosen": chosen, arm: found}
            _write(place / "chosen.json", _read(place / "chosen.json") | content)
    return chosen


def combinations(tried: Sequence[str]) -> int:
    """Return the number of combinations of the values that a sweep tries."""
    return prod(text.count(",") + 1 for text in tried)


def launcher(jobs: int) -> list[str]:
    """Return the overrides that run a number of runs at a time."""
    return [] if jobs == 1 else ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={jobs}"]


def _trials(place: Path, what: Regime, arm: str, more: Sequence[str]) -> list[dict[str, Any]]:
    """Run the trials of an arm that are missing, and return them all."""
    tried = what.trials(arm)
    if len(list(place.glob("*/summary.json"))) < combinations(tried):
        sweep = [*what.common(), *what.overrides(arm), *tried, f"seed={TRIAL_SEED}", *more]
        _tartan("run", "-m", *sweep, f"hydra.sweep.dir={place}", log=place.parent)
    _remove(place, "checkpoints", "model")
    names = {text.split("=")[0] for text in tried}
    return [_trial(run, names) for run in sorted(place.glob("*/summary.json"))]


def study_command(name: str, what: Regime, chosen: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the arguments of `python -m tartan` that run a regime's study."""
    arms = []
    for arm in what.arms:
        values = ",".join(f"'{text}'" for text in (*what.overrides(arm), *chosen[arm]))
        arms.append(f"study.overrides.{arm}=[{values}]")
    own = ["study=evidence", f"study.arms=[{','.join(what.arms)}]", "study.against=finetune"]
    own.append(f"study.dir={what.directory}/study-{name}")
    return ["study", "--config-dir", str(CONFIGURATIONS), *own, *what.common(), *arms]


def _trial(summary: Path, names: set[str]) -> dict[str, Any]:
    """Return the dev score, the seconds and the values of a trial."""
    found = _read(summary)
    typed = (summary.parent / ".hydra" / "overrides.yaml").read_text("utf-8").splitlines()
    values = [line[2:].strip("'\"") for line in typed]
    return {
        "dev": found["dev"][found["metric"]],
        "seconds": found["seconds"],
        "values": [value for value in values if value.split("=")[0] in names],
    }


def _tartan(command: str, *arguments: str, log: Path) -> None:
    """Run a command of tartan; its output is appended to a log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.with_suffix(".log").open("ab") as file:
        whole = [sys.executable, "-m", "tartan", command]
        whole += ["--config-dir", str(CONFIGURATIONS), *arguments]
        subprocess.run(whole, stdout=file, stderr=file, check=True)


def _remove(directory: Path, *names: str) -> None:
    """Remove directories of finished runs; checkpoints have 250 MB each, models 90."""
    for summary in directory.rglob("summary.json"):
        for name in names:
            shutil.rmtree(summary.parent / name, ignore_errors=True)


def _read(path: Path) -> dict[str, Any]:
    """Read a JSON file; empty if there is none."""
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def _write(path: Path, content: Any) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str]) -> None:
    """Run a regime or resume it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence.chain")
    parser.add_argument("directory", type=Path)
    parser.add_argument("regime")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, on one device")
    parser.add_argument("--seeds", type=int, help="of the study, the first so many; all by default")
    options, more = parser.parse_known_args(arguments)
    name, what = options.regime, regime(options.regime, options.directory.absolute())
    chosen = what.values or chosen_values(name, what, options.jobs, more)
    seeds = ",".join(map(str, what.seeds[: options.seeds]))
    command = study_command(name, what, chosen)
    command += [*more, *launcher(options.jobs), f"study.seeds=[{seeds}]"]
    _write(what.directory / f"study-{name}.command.json", command)
    study = what.directory / f"study-{name}"
    try:
        _tartan("study", *command[3:], log=study)
    finally:
        _remove(study, "checkpoints")
    if what.has_subsets:
        score_study(study, what.directory / "data" / what.task)
    _remove(study, "model")


if __name__ == "__main__":
    main(sys.argv[1:])
