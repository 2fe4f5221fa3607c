"""`python -m benchmarks.harmful`: every weighting with one helpful and two harmful objectives.

The demo task with MLM on its own texts, MLM on random words, and classification of its training
texts with shuffled labels. Each run is saved, so that the same command resumes, and `--page` writes
the table.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

from hydra import compose, initialize_config_module

from benchmarks.harmful_page import page
from tartan.config.overrides import accept
from tartan.config.store import register
from tartan.data.demo import DemoOptions, load_demo
from tartan.errors import TartanError
from tartan.experiment.run import run
from tartan.plugins import Plugins, discover
from tartan.report.record import write_json

SEEDS = (0, 1, 2)
TASK = DemoOptions(
    topic_words=12, labelled_words=2, fillers=8, topic_share=0.8,
    train=32, dev=100, test=400, unlabelled=1500,
)  # fmt: skip
"""A small demo task: most words of a topic occur in the unlabelled texts only."""
COMMON = (
    "data=jsonl", "precision=fp32", "device=cpu", "report=false", "cache=false",
    "steps=300", "batch_size=16", "optimizer.body_lr=5e-3", "optimizer.head_lr=5e-3",
    "eval.every=30", "eval.patience=0", "checkpoint.every=100000",
    "schedule.stages.finetune.epochs=0",
    "model.layers=1", "model.hidden_size=32", "model.intermediate_size=64",
)  # fmt: skip
"""The setting: a budget of one stage, all objectives together, and the best of ten evaluations."""
HARMFUL = ("objectives=[tapt,dapt,classification_aux]",)
"""`tapt` is the helpful one; the domain corpus, which `dapt` reads, is random words."""
BASELINES = {
    "end task alone": ("objectives=[]", "weighting=static"),
    "without the harmful ones": ("objectives=[tapt]", "weighting=static"),
}

TUNED = {"meta weighting.lr=0.0733": (*HARMFUL, "weighting=meta", "weighting.lr=0.0733")}
"""META with 22 divided by the number of measurements, the rule of docs/evidence.md."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, and write results and page; return 1 if a run failed."""
    options = parser().parse_args(arguments)
    path, found = options.json, read(options.json)
    plugins = discover()
    register(plugins)
    failed = 0
    with tempfile.TemporaryDirectory() as place:
        overrides = [*COMMON, *write_data(Path(place))]
        for name, own in arms(plugins, options.arms):
            for seed in options.seeds:
                if any(one["arm"] == name and one["seed"] == seed for one in found["runs"]):
                    continue
                try:
                    made = score([*overrides, *own, f"seed={seed}"], Path(place) / "run", plugins)
                except TartanError as error:
                    print(f"{name}, seed {seed}: {error}", file=sys.stderr, flush=True)
                    failed += 1
                    continue
                found["runs"].append({"arm": name, "seed": seed, **made})
                write_json(path, found)
                print(f"{name}, seed {seed}: {made['test']:.1f}", flush=True)
    if options.page:
        first = {name: cls.cls.end_task_first for name, cls in plugins.weightings.items()}
        options.page.write_text(page(found["runs"], first), encoding="utf-8")
    return int(failed > 0)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.harmful", description=__doc__)
    made.add_argument("--json", type=Path, default=Path("benchmarks/results/harmful.json"))
    made.add_argument("--page", type=Path, metavar="FILE", help="write the table there, too")
    made.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    made.add_argument("--arms", nargs="*", metavar="ARM", help="which; all by default")
    return made


def arms(plugins: Plugins, chosen: Sequence[str] | None) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Return each arm's name and overrides: the baselines, and every weighting."""
    own = {name: (*HARMFUL, f"weighting={name}") for name in plugins.weightings}
    every: Mapping[str, tuple[str, ...]] = {**BASELINES, **own, **TUNED}
    yield from ((name, arm) for name, arm in every.items() if chosen is None or name in chosen)


def write_data(place: Path) -> list[str]:
    """Write the demo task with its harmful texts; return the overrides that read them."""
    task = load_demo(TASK)
    random = Random("harmful")
    data, shuffled = place / "data", place / "shuffled"
    data.mkdir()
    shuffled.mkdir()
    for split in ("train", "dev", "test"):
        rows = [
            {"text": row["text"], "label": task.labels[row["label"]]}
            for row in getattr(task, split)
        ]
        write_rows(data / f"{split}.jsonl", rows)
        if split == "train":
            labels = [row["label"] for row in rows]
            random.shuffle(labels)
            pairs = zip(rows, labels, strict=True)
            write_rows(shuffled / "train.jsonl", [{**row, "label": label} for row, label in pairs])
    texts = [row["text"] for row in task.corpora["task"]]
    words = [word for text in texts for word in text.split()]
    random.shuffle(words)
    (data / "unlabelled.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    noise, start = [], 0
    for text in texts:
        stop = start + len(text.split())
        noise.append(" ".join(words[start:stop]))
        start = stop
    (data / "domain.txt").write_text("\n".join(noise) + "\n", encoding="utf-8")
    return [f"data.dir={data}", f"objectives.classification_aux.data.dir={shuffled}"]


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a JSON Lines file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def score(overrides: Sequence[str], directory: Path, plugins: Plugins) -> dict[str, Any]:
    """Train a run, and return its test score in points, final weights and seconds."""
    shutil.rmtree(directory, ignore_errors=True)
    if "objectives=[]" in overrides or "objectives=[tapt]" in overrides:
        overrides = [text for text in overrides if not text.startswith("objectives.")]
    accepted = accept([*overrides, f"run_dir={directory}"])
    with initialize_config_module("tartan.configs", job_name="tartan", version_base="1.3"):
        composed = compose("config", accepted)
    with redirect_stdout(StringIO()):
        _, found = run(composed, directory, {}, plugins)
    return {
        "test": 100 * found["test"][found["metric"]],
        "dev": 100 * found["dev"][found["metric"]],
        "metric": found["metric"],
        "weights": found["weights"],
        "seconds": found["seconds"],
    }


def read(path: Path) -> dict[str, Any]:
    """Return the results so far."""
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    return {"command": "python -m benchmarks.harmful", "setting": list(COMMON), "runs": []}


if __name__ == "__main__":
    sys.exit(main())
