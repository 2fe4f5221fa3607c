"""evaluate reports rows that the run was trained on."""

import json
from pathlib import Path

import pytest

from support.csv_files import csv, load, numbered
from tartan.batch import LabelKind
from tartan.data.files import FilesOptions, find_files, find_labelled
from tartan.data.label_subset import LabelledOptions, keep_labels
from tartan.errors import CheckpointError
from tartan.experiment.summary import division_record
from tartan.inference.seen import SeenRows

ROWS = numbered(*["a", "b"] * 20)


def notices(run: Path, task, file: Path) -> list[str]:
    """What is reported of a file, for a run on a task."""
    summary = {
        "data": {
            split: {"sha256": task.hashes[split], "rows": len(getattr(task, split))}
            for split in ("train", "dev", "test")
        }
    }
    options = FilesOptions(str(file))
    found = find_labelled(find_files(options), options, LabelKind.CLASS)
    seen = SeenRows(run, summary)
    assert len(list(seen.read(found.numbered("train", LabelKind.CLASS, known=True)))) > 1
    return seen.notices(file.name)


def write(file: Path, rows) -> Path:
    file.write_text(csv(rows))
    return file


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = tmp_path / "run"
    directory.mkdir()
    return directory


def test_only_rows_whose_labels_a_run_read_are_counted(run: Path, tmp_path: Path):
    file = write(tmp_path / "mine.csv", ROWS)
    task = load(file)
    (run / "splits.json").write_text(json.dumps(division_record(task.division)))
    (line,) = notices(run, keep_labels(task, LabelledOptions(labelled=10)), file)
    assert line.startswith("Of the 40 rows of mine.csv, the run was trained on 10 and chose its ")


@pytest.mark.parametrize("missing", ["refuse", "unlabelled"])
def test_rows_of_the_file_that_a_run_divided_are_counted(missing: str, run: Path, tmp_path: Path):
    file = write(tmp_path / "mine.csv", ROWS)
    task = load(file, missing=missing)
    (run / "splits.json").write_text(json.dumps(division_record(task.division)))
    assert notices(run, task, file) == [
        "Of the 40 rows of mine.csv, the run was trained on 28 and chose its best step on 6: "
        "scores on new rows may be lower."
    ]
    assert notices(run, task, write(tmp_path / "new.csv", [(f"new {n}", "a") for n in "12"])) == []
    (run / "splits.json").write_text('{"rows": {"train": 3}}')
    with pytest.raises(CheckpointError, match=r"splits.json"):
        notices(run, task, file)


def test_rows_of_a_file_of_one_split_are_counted(run: Path, tmp_path: Path):
    directory = tmp_path / "data"
    directory.mkdir()
    for split, rows in {"train": ROWS[:20], "dev": ROWS[20:30], "test": ROWS[30:]}.items():
        write(directory / f"{split}.csv", rows)
    task = load(directory)
    expected = {
        "train": ["Of the 20 rows of train.csv, the run was trained on 20: scores on new rows may "
                  "be lower."],
        "dev": ["Of the 10 rows of dev.csv, the run chose its best step on 10: scores on new rows "
                "may be lower."],
        "test": [],
    }  # fmt: skip
    for split, lines in expected.items():
        assert notices(run, task, directory / f"{split}.csv") == lines
