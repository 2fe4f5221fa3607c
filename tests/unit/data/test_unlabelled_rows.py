"""A file in which only some rows have a label."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from datasets import Dataset

from support.csv_files import csv, load
from tartan.batch import LabelKind
from tartan.errors import ConfigError, DataError

ROWS = [(f"text {n}", ["warm", "cold", "", " "][n % 4]) for n in range(80)]
HALF = [text for text, label in ROWS if not label.strip()]
NULL = "the row is unlabelled (label None; it reads as missing)"
WAY_OUT = "Fill or remove them, or set data.missing=unlabelled to read their texts without labels"


def write(rows: Sequence[tuple[str, object]], kind: str, path: Path) -> Path:
    """Write rows as a file of a kind; a label that is blank is null where the kind has one."""
    file = path / f"mine.{kind}"
    if kind == "csv":
        file.write_text(csv(rows))
        return file
    typed = [{"text": t, "label": None if str(y).strip() == "" else y} for t, y in rows]
    if kind == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in typed))
    else:
        Dataset.from_list(typed).to_parquet(file)
    return file


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_rows_without_a_label_are_texts_of_the_task(kind: str, tmp_path: Path):
    task = load(write(ROWS, kind, tmp_path), missing="unlabelled")
    labelled = [text for split in (task.train, task.dev, task.test) for text in split["text"]]
    assert sorted(labelled) == sorted({text for text, _ in ROWS} - set(HALF))
    assert sorted(task.corpora["task"]["text"]) == sorted([*task.train["text"], *HALF])
    assert task.notes[1] == (
        "Rows without a label: 40 of 80. They are texts of the task (data.missing=unlabelled)."
    )
    division = task.division
    assert division is not None
    for split in ("train", "dev", "test"):  # numbers are those of the file's rows
        rows = division.rows[split]
        assert [ROWS[number][0] for number in rows] == getattr(task, split)["text"][:]


def test_they_change_nothing_else(tmp_path: Path):
    (tmp_path / "all").mkdir()
    labelled = [row for row in ROWS if row[1].strip()]
    alone = load(write(labelled, "csv", tmp_path / "all"))
    task = load(write(ROWS, "csv", tmp_path), missing="unlabelled")
    for split in ("train", "dev", "test"):
        assert task.hashes[split] == alone.hashes[split]
    assert task.hashes["task"] != alone.hashes["task"]


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("csv", "mine.csv row 2 (mine.csv:4): label is empty"),
        ("jsonl", f"mine.jsonl row 2 (mine.jsonl:3): {NULL}"),
        ("parquet", f"mine.parquet row 2 (mine.parquet): {NULL}"),
    ],
)
def test_by_default_they_are_counted_and_refused_with_the_way_out(kind, what, tmp_path: Path):
    with pytest.raises(DataError) as caught:
        load(write(ROWS, kind, tmp_path))
    assert str(caught.value) == f"{what}. Rows without a label: 40 of 80. {WAY_OUT}"


def test_numbers_and_sets_of_labels_may_be_missing_too(tmp_path: Path):
    cells = [(f"text {n}", "NA" if n % 2 else f"{n / 2}") for n in range(40)]
    task = load(write(cells, "csv", tmp_path), LabelKind.NUMBER, missing="unlabelled")
    assert len(task.train) == 14
    assert len(task.corpora["task"]) == 34
    sets = [(f"text {n}", ["", "a", "a;b"][n % 3]) for n in range(60)]
    task = load(write(sets, "csv", tmp_path), LabelKind.SETS, missing="unlabelled")
    assert len(task.train) + len(task.dev) + len(task.test) == 40


def test_na_among_class_ids_in_cells_is_a_missing_label(tmp_path: Path):
    rows = [(f"text {n}", ["1", "0", "NA", ""][n % 4]) for n in range(80)]
    task = load(write(rows, "csv", tmp_path), missing="unlabelled")
    assert task.labels == ("0", "1")
    assert "Rows without a label: 40 of 80. They are texts of the task" in task.notes[1]
    assert len(task.corpora["task"]) == len(task.train) + 40
    with pytest.raises(DataError) as caught:
        load(write([row for row in rows if row[1]], "csv", tmp_path))
    assert str(caught.value) == (
        "mine.csv row 2 (mine.csv:4): label is 'NA' and the others are numbers. Rows without a "
        f"label: 20 of 60. {WAY_OUT}"
    )
    named = [(text, {"1": "EU", "0": "US"}.get(label, label)) for text, label in rows]
    assert load(write(named, "csv", tmp_path), missing="unlabelled").labels == ("EU", "NA", "US")


def test_a_field_that_a_row_lacks_is_a_missing_label(tmp_path: Path):
    rows = [{"text": text, **({"label": y} if y.strip() else {})} for text, y in ROWS]
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError) as caught:
        load(file)
    assert str(caught.value) == (
        "mine.jsonl row 2 (mine.jsonl:3): the row has no field 'label' (choose from: text). Rows "
        f"without a label: 40 of 80. {WAY_OUT}"
    )
    assert len(load(file, missing="unlabelled").corpora["task"]) == 28 + 40


@pytest.mark.parametrize("given", [{}, {"label": "label"}])
def test_the_first_row_may_lack_its_label(given: dict[str, str], tmp_path: Path):
    rows = [{"text": "first"}, *({"text": text, "label": y} for text, y in ROWS if y.strip())]
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(rows))
    task = load(file, missing="unlabelled", **given)
    assert task.corpora["task"]["text"][-1] == "first"
    with pytest.raises(DataError) as caught:
        load(file, **given)
    assert "the row has no field 'label'" in str(caught.value)
    assert str(caught.value).endswith(f"Rows without a label: 1 of 41. {WAY_OUT}")


def test_ids_stay_integers_where_some_are_missing(tmp_path: Path):
    rows = [(f"text {n}", "" if n % 3 else n % 2) for n in range(60)]
    file = tmp_path / "mine.parquet"
    Dataset.from_dict(
        {"text": [t for t, _ in rows], "label": [float("nan") if y == "" else y for _, y in rows]}
    ).to_parquet(file)
    assert load(file, missing="unlabelled").labels == ("0", "1")


@pytest.mark.parametrize("split", ["train", "dev"])
def test_ids_that_are_stored_as_floats_are_ids_in_every_split(split: str, tmp_path: Path):
    for name in ("train", "dev", "test"):
        kind = float if name == split else int
        rows = [{"text": f"{name} {n}", "label": kind(n % 2)} for n in range(8)]
        Dataset.from_list(rows).to_parquet(tmp_path / f"{name}.parquet")
    task = load(tmp_path)
    assert task.labels == ("0", "1")
    assert [each["label"][:] for each in (task.train, task.dev)] == [[0, 1] * 4] * 2


@pytest.mark.parametrize(("train", "dev"), [("01", ["0.0", "1.0"]), (["0.0", "1."], "01")])
def test_cells_of_dev_are_ids_as_train_writes_them(train, dev, tmp_path: Path):
    (tmp_path / "train.csv").write_text(csv([(f"text {n}", train[n % 2]) for n in range(8)]))
    for name in ("dev", "test"):
        rows = [(f"{name} {n}", dev[n % 2]) for n in range(4)]
        (tmp_path / f"{name}.csv").write_text(csv(rows))
    task = load(tmp_path)
    assert task.labels == tuple(train)
    assert task.dev["label"][:] == task.test["label"][:] == [0, 1, 0, 1]


def test_rows_of_a_file_of_dev_need_labels(tmp_path: Path):
    (tmp_path / "train.csv").write_text(csv(ROWS))
    (tmp_path / "dev.csv").write_text(csv([("x", "warm"), ("y", "")]))
    with pytest.raises(DataError) as caught:
        load(tmp_path, missing="unlabelled")
    assert str(caught.value) == (
        "dev.csv row 1 (dev.csv:3): label is empty. Rows without a label: 1 of 2. Fill or remove "
        "them"
    )


def test_a_row_without_label_and_text_is_no_text(tmp_path: Path):
    rows = [*ROWS, ("  ", "")]
    task = load(write(rows, "csv", tmp_path), missing="unlabelled")
    assert len(task.corpora["task"]) == len(task.train) + len(HALF)


def test_other_ways_are_refused(tmp_path: Path):
    file = write(ROWS, "csv", tmp_path)
    with pytest.raises(ConfigError, match=r"^data.missing=unlabeled: did you mean 'unlabelled'\?"):
        load(file, missing="unlabeled")
    with pytest.raises(ConfigError, match=r"^data.missing=unlabelled is for labels of texts, not"):
        load(file, LabelKind.TAGS, missing="unlabelled")
