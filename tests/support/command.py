"""The command line in tests: what to say, what it answers, what it leaves."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SMALL = [
    "steps=6", "batch_size=8", "eval.every=3", "log.every=2", "precision=fp32", "device=cpu",
    "model.hidden_size=16", "model.intermediate_size=32", "model.layers=1",
    "data.train=24", "data.dev=16", "data.test=16", "data.unlabelled=40",
    "report=false",
]  # fmt: skip
"""Overrides that make the demo a matter of a second; its page is not drawn."""


@dataclass
class Answer:
    """What a command said."""

    status: int
    out: str
    err: str

    def refusal(self) -> str:
        """The one line of a command that refuses."""
        assert self.status == 2, self.err
        assert self.err.startswith("tartan: "), self.err
        assert self.err.count("\n") == 1, self.err
        return self.err


def write_task(directory: Path, **files: list[Any] | str) -> Path:
    """A jsonl task; `train=[...]` and so on replace its files, a str is written as it is."""
    rows = [
        {"text": f"{word} {word} number {n}", "label": label}
        for n in range(8)
        for word, label in (("red", "warm"), ("blue", "cold"))
    ]
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("train", "dev", "test"):
        given = files.get(name, [{**r, "text": f"{r['text']} of {name}"} for r in rows])
        text = given if isinstance(given, str) else "".join(json.dumps(r) + "\n" for r in given)
        (directory / f"{name}.jsonl").write_text(text, encoding="utf-8")
    for name in ("unlabelled", "domain"):
        if name in files:
            (directory / f"{name}.txt").write_text(str(files[name]), encoding="utf-8")
    return directory


def records(run: Path) -> list[dict[str, Any]]:
    """A run's metrics, without what is a matter of time."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def summary(run: Path) -> dict[str, Any]:
    """A run's summary."""
    found: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return found


def small_options(**more: Any) -> dict[str, Any]:
    """`SMALL` as the Python API takes it, and further options."""
    pairs = (text.partition("=") for text in SMALL)
    found: dict[str, Any] = {name: yaml.safe_load(value) for name, _, value in pairs}
    return found | more
