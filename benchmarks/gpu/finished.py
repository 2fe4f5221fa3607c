"""What the runs of a study wrote, gathered as soon as a run is finished."""

import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

KEPT = ("*.json", "*.jsonl", "*.csv", "*.md", "*.yaml", "*.log")
"""Files that are returned: no weights."""


class Finished:
    """The finished runs of regimes, in two files.

    `study.json` has the scores, `runs.tar.gz` the directories without weights, from which a study
    resumes elsewhere.
    """

    def __init__(self, work: Path, out: Path, facts: Mapping[str, Any]) -> None:
        """`work` has the regimes, `out` receives the files; `facts` come first in study.json."""
        self._work, self._out, self._facts = work, out, facts
        self._regimes: dict[str, dict[str, Any]] = {}
        self._known: frozenset[Path] = frozenset()

    def note(self, name: str, status: str, seconds: float) -> None:
        """Record what became of a regime, and write."""
        self._regimes[name] = {"status": status, "seconds": round(seconds, 1)}
        self._known = self._found()
        self._write()

    def look(self) -> None:
        """Write if more runs are finished than before."""
        if (found := self._found()) != self._known:
            self._known = found
            self._write()

    def _found(self) -> frozenset[Path]:
        """Return the summaries of finished runs: of trials and of the study."""
        summaries = (*self._work.glob("select-*/*/*/summary.json"), *self._studied())
        return frozenset(summaries)

    def _studied(self) -> list[Path]:
        return list(self._work.glob("study-*/*/*/summary.json"))

    def _write(self) -> None:
        """Write both files; each is complete or as it was."""
        content = {**self._facts, "regimes": self._regimes, "runs": self.scores()}
        _replace(self._out / "study.json", json.dumps(content, indent=1).encode() + b"\n")
        part = self._out / "runs.tar.gz.part"
        with tarfile.open(part, "w:gz") as archive:
            for file in sorted(self._kept()):
                archive.add(file, file.relative_to(self._work))
        part.replace(self._out / "runs.tar.gz")

    def _kept(self) -> Iterator[Path]:
        """Yield the files of finished runs, and those beside the runs."""
        runs = [
            place
            for summary in self._known
            for place in (summary.parent, summary.parent / ".hydra")
        ]
        for place in (self._work, *self._work.glob("select-*"), *self._work.glob("study-*"), *runs):
            yield from (file for pattern in KEPT for file in place.glob(pattern))

    def scores(self) -> list[dict[str, Any]]:
        """Return a line for each finished run of a study, test scores included."""
        return [_scores(summary) for summary in sorted(self._studied())]


def _scores(summary: Path) -> dict[str, Any]:
    """Return the scores of a run in `study-REGIME/ARM/seedK/`."""
    found = json.loads(summary.read_text("utf-8"))
    study, arm, seed = summary.parts[-4:-1]
    return {
        "regime": study.removeprefix("study-"),
        "arm": arm,
        "seed": int(seed.removeprefix("seed")),
        **{key: found[key] for key in ("dev", "test", "best_step", "seconds")},
    }


def _replace(file: Path, content: bytes) -> None:
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(content)
    part.replace(file)
