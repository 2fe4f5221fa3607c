"""Scores on the labelled rows that no arm of a study trained on."""

import json
from pathlib import Path
from typing import Any

import pytest

import tartan
from benchmarks.evidence.unseen import FILE, rescored, score_study, unseen_rows
from support.command import write_task

SEEDS = range(8)


def write_rows(directory: Path, rows: list[tuple[str, str]]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    (directory / "train.jsonl").write_text("".join(f"{line}\n" for line in lines))


def test_a_row_with_a_text_that_the_run_read_is_no_unseen_row(tmp_path: Path):
    write_rows(tmp_path / "task", [("one", "a"), ("two", "a"), ("one", "b"), ("three", "b")])
    write_rows(tmp_path / "own", [("one", "a")])
    found = [json.loads(line) for line in unseen_rows(tmp_path / "task", tmp_path / "own")]
    assert [(row["text"], row["label"]) for row in found] == [("two", "a"), ("three", "b")]


def test_models_are_scored_on_the_other_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    task = write_task(tmp_path / "task")
    whole = (task / "train.jsonl").read_text().splitlines()
    own = write_task(tmp_path / "own")
    (own / "train.jsonl").write_text("".join(f"{line}\n" for line in whole[:8]))
    study = tmp_path / "study"
    run = tartan.run(
        "data=jsonl", f"data.dir={own}", "objectives=[]", "schedule=finetune", "steps=1",
        "report=false", f"run_dir={study}/finetune/seed0",
    )  # fmt: skip
    (study / "finetune" / "seed1").mkdir()
    (study / "finetune" / "seed1" / "summary.json").write_text("{}")
    score_study(study, task)
    assert "seed1 has no model: it is not scored on unseen rows" in capsys.readouterr().out
    found = json.loads((run.directory / FILE).read_text())
    rest = tmp_path / "rest.jsonl"
    rest.write_text("".join(f"{line}\n" for line in unseen_rows(task, own)))
    predicted = run.predict([json.loads(line)["text"] for line in rest.read_text().splitlines()])
    labels = [json.loads(line)["label"] for line in rest.read_text().splitlines()]
    right = [one["predicted"] == label for one, label in zip(predicted, labels, strict=True)]
    assert found["rows"] == len(labels)
    assert found["accuracy"] == pytest.approx(sum(right) / len(right))


@pytest.fixture
def study(tmp_path: Path) -> dict[str, Any]:
    """Return a study of two arms, whose runs have been scored: one is above the other."""
    runs = []
    for arm, ahead in (("finetune", 0.0), ("mt", 0.02)):
        for seed in SEEDS:
            place = tmp_path / arm / f"seed{seed}"
            place.mkdir(parents=True)
            score = {"rows": 900, "macro_f1": 0.3 + seed / 100 + ahead * (seed + 1)}
            (place / FILE).write_text(json.dumps(score))
            runs.append({"arm": arm, "seed": seed, "directory": f"{arm}/seed{seed}"})
    arms = [{"name": name, "label": name.upper()} for name in ("finetune", "mt")]
    pair = {"first": "mt", "second": "finetune", "seeds": list(SEEDS), "exact": True, "least": 0.01}
    facts = {"metric": "macro_f1", "confidence": 0.95, "level": 0.05}
    return {**facts, "arms": arms, "pairs": [pair], "runs": runs}


def test_differences_are_those_on_unseen_rows(study: dict[str, Any], tmp_path: Path):
    found = rescored(study, tmp_path)
    assert found is not None
    assert found["rows"] == [900]
    assert [arm["test"]["mean"] for arm in found["arms"]] == pytest.approx([0.335, 0.425])
    (pair,) = found["pairs"]
    assert pair["difference"]["mean"] == pytest.approx(0.09)
    assert pair["corrected"] == pair["p"] == pytest.approx(2 / 2**8)


def test_a_study_with_an_unscored_run_is_not_published(study: dict[str, Any], tmp_path: Path):
    (tmp_path / "mt" / "seed3" / FILE).unlink()
    assert rescored(study, tmp_path) is None
