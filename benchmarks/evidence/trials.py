"""Collect the trials of a regime in one file: values, dev scores, curves, weights and alignments.

    python -m benchmarks.evidence.trials DIRECTORY/select-REGIME RESULTS [COMMIT]

COMMIT is that of the checkout that ran them, if it was not this one. Test scores of trials are left
out: nothing may be chosen by them. Of long runs, lines with an evaluation are kept.
"""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.origin import commit, machine, versions

MOST = 50
"""Lines of a run that are all kept."""
TRACED = ("weight", "alignment", "loss", "eval")
"""First parts of metrics' names that are kept."""

KEPT = ("lr", "tapt.scale", "seed")
"""Last parts of the names of options that are kept."""


def trial(run: Path) -> dict[str, Any]:
    """Return what a trial's run wrote, test left out."""
    summary = json.loads((run / "summary.json").read_text("utf-8"))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    if len(lines) > MOST:
        lines = [line for line in lines if any(key.startswith("eval/") for key in line)]
    typed = (run / ".hydra" / "overrides.yaml").read_text("utf-8").splitlines()
    values = [line[2:].strip("'\"") for line in typed]
    return {
        "arm": run.parent.name,
        "values": [value for value in values if value.split("=")[0].endswith(KEPT)],
        "dev": summary["dev"],
        "best_step": summary["best_step"],
        "seconds": summary["seconds"],
        "lines": [
            {key: value for key, value in line.items() if key == "step" or _traced(key)}
            for line in lines
        ],
    }


def _traced(key: str) -> bool:
    """Return whether a metric is kept: `train/weight/mlm`, `eval/macro_f1`."""
    return any(part in TRACED for part in key.split("/")[:2])


def main(directory: Path, results: Path, origin: str | None = None) -> None:
    """Write the trials of a regime, which the checkout of a commit ran."""
    runs = sorted(path.parent for path in directory.glob("*/*/summary.json"))
    content = {
        "commit": origin or commit(),
        "machine": machine("cpu"),
        "versions": versions(),
        "trials": [trial(run) for run in runs],
    }
    results.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"{len(runs)} trials")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
