"""Score a study's models on labelled rows that no arm trained on.

    python -m benchmarks.evidence.unseen STUDY TASK

For studies whose runs have a part of a task's labels. No run has read the labels of the task's
other training rows, in citation_intent 7 to 11 times as many as test has. Each finished run of
STUDY that still has its model gets a file `unseen.json`, with the metrics on those rows of
`TASK/train.jsonl`.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tartan.inference.scored import FinishedRun, score_file
from tartan.plugins import Plugins, discover
from tartan.study.collect import tested
from tartan.study.statistics import estimate

FILE = "unseen.json"


def unseen_rows(task: Path, own: Path) -> list[str]:
    """Return a task's training rows, a line each, whose texts are not among a run's own.

    Args:
        task: the directory with all training rows.
        own: the run's directory of data.
    """
    texts = {json.loads(line)["text"] for line in _lines(own)}
    return [line for line in _lines(task) if json.loads(line)["text"] not in texts]


def score_run(run: Path, task: Path, plugins: Plugins) -> dict[str, float]:
    """Return the metrics of a finished run on the rows that it has not seen, and their number."""
    finished = FinishedRun.read(run)
    rows = unseen_rows(task, _data(finished.summary))
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "unseen.jsonl"
        path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
        scored = score_file(finished, path, {}, plugins, batch_size=64, device="auto")
    return {"rows": len(rows), **scored.score(range(len(rows)))}


def score_study(study: Path, task: Path) -> None:
    """Score the finished runs of a study that have no scores yet; name those without a model."""
    plugins = discover()
    for summary in sorted(study.glob("*/seed*/summary.json")):
        run = summary.parent
        if (run / FILE).exists():
            continue
        if not (run / "model").is_dir():
            print(f"{run} has no model: it is not scored on unseen rows")
        else:
            content = json.dumps(score_run(run, task, plugins), indent=1)
            (run / FILE).write_text(f"{content}\n", encoding="utf-8")


def rescored(study: Mapping[str, Any], directory: Path) -> dict[str, Any] | None:
    """Return a study with the scores on unseen rows in the place of test's.

    Args:
        study: the content of study.json.
        directory: the study's, whose runs have been scored.

    Returns:
        Its `arms`, `pairs`, `metric`, `level` and `rows`; None where a run has not been scored.
    """
    found = {
        (run["arm"], run["seed"]): json.loads(file.read_text("utf-8"))
        for run in study["runs"]
        if (file := directory / run["directory"] / FILE).exists()
    }
    if len(found) < len(study["runs"]):
        return None
    metric, seeds = study["metric"], sorted({seed for _, seed in found})
    arms = []
    for arm in study["arms"]:
        values = [found[arm["name"], seed][metric] for seed in seeds]
        test = estimate(values, study["confidence"])
        assert test, "a study has runs"
        arms.append({"name": arm["name"], "label": arm["label"], "test": asdict(test)})
    pairs = tested(
        [(pair["first"], pair["second"]) for pair in study["pairs"]],
        {run: score[metric] for run, score in found.items()},
        seeds,
        study["confidence"],
    )
    return {
        "metric": metric,
        "level": study["level"],
        "rows": sorted({score["rows"] for score in found.values()}),
        "arms": arms,
        "pairs": [asdict(pair) for pair in pairs],
    }


def _data(summary: Mapping[str, Any]) -> Path:
    """Return the directory of a run's data."""
    return Path(summary["identity"]["parts"]["configuration"]["data"]["dir"])


def _lines(directory: Path) -> list[str]:
    """Return the training rows of a directory."""
    text = (directory / "train.jsonl").read_text("utf-8")
    return [line for line in text.split("\n") if line.strip()]


if __name__ == "__main__":
    score_study(Path(sys.argv[1]), Path(sys.argv[2]))
