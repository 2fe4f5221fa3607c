"""Rows with several labels: lists, cells with separators, a column for each label."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from tartan.batch import LabelKind
from tartan.data.files import FilesOptions, load_files
from tartan.data.jsonl import JsonlOptions, load_jsonl
from tartan.data.label_sets import indicated
from tartan.data.label_subset import LabelledOptions, keep_labels
from tartan.data.rows import Row
from tartan.data.task import count_labels
from tartan.errors import ConfigError, DataError

SETS = LabelKind.SETS
ROWS = [["b", "a"], [], ["a"], ["c"], ["a", "c"], ["b"]]


def load(path: Path, **options):
    return load_files(FilesOptions(str(path), **options), SETS, ("train",))


def named(task) -> list[list[str]]:
    return [[task.labels[id] for id in ids] for ids in task.train["label"][:]]


EXPECTED = [sorted(labels) for labels in ROWS]


@pytest.mark.parametrize("separator", ["|", ";", ", "])
def test_cells_are_divided_by_the_separator_that_occurs(separator: str, tmp_path: Path):
    path = tmp_path / "mine.csv"
    cells = [f'"text {n}","{separator.join(labels)}"' for n, labels in enumerate(ROWS)]
    path.write_text("\n".join(["text,topics", *cells]))
    task = load(path)
    assert (task.labels, named(task)) == (("a", "b", "c"), EXPECTED)
    assert task.kind is SETS
    assert count_labels(task, task.train) == {"a": 3, "b": 2, "c": 2}


def test_the_separator_is_found_in_any_row_and_named(tmp_path: Path):
    path = tmp_path / "mine.csv"
    cells = [f"text {n},{'ab'[n % 2]}" for n in range(1200)]
    path.write_text("\n".join(["text,labels", *cells, "last,a;b"]))
    task = load(path)
    assert (task.labels, task.separator) == (("a", "b"), ";")
    assert task.notes[1] == "Labels are separated by ';'."


def test_no_separator_is_kept_where_no_string_was_divided(tmp_path: Path):
    lists = [json.dumps({"text": f"text {n}", "label": labels}) for n, labels in enumerate(ROWS)]
    files = {
        "lists.jsonl": lists,
        "single.csv": ["text,label", *(f"text {n},{n % 3}" for n in range(6))],
    }
    for name, lines in files.items():
        (tmp_path / name).write_text("\n".join(lines))
        task = load(tmp_path / name)
        assert (task.separator, len(task.notes)) == (None, 1)
    task = load(tmp_path / "lists.jsonl", label_separator="/")
    assert task.separator == "/"


@pytest.mark.parametrize("write", [json.dumps, str], ids=["JSON", "Python"])
def test_lists_may_stand_in_cells(write, tmp_path: Path):
    path = tmp_path / "mine.tsv"
    path.write_text("\n".join(["text\tlabels", *(f"text {n}\t{cell}" for n, cell in enumerate(
        write(labels).replace('"', '""').join('""') for labels in ROWS))]))  # fmt: skip
    assert named(load(path)) == EXPECTED


def test_each_label_may_have_a_column(tmp_path: Path):
    path = tmp_path / "mine.csv"
    lines = [",".join([f"text {n}", *(str(int(name in labels)) for name in "cab")])
             for n, labels in enumerate(ROWS)]  # fmt: skip
    path.write_text("\n".join(["comment_text,c,a,b", *lines]))
    task = load(path, text="comment_text", labels=["c", "a", "b"])
    assert task.labels == ("c", "a", "b")
    assert task.notes[0] == (
        "Read train from mine.csv; text from column 'comment_text', label from columns 'c', 'a', "
        "'b'."
    )
    assert [sorted(row) for row in named(task)] == EXPECTED
    path.write_text(path.read_text() + "\nlast,2,0,0")
    with pytest.raises(DataError) as caught:
        load(path, text="comment_text", labels=["c", "a", "b"])
    assert str(caught.value) == "mine.csv:8: column 'c' is '2': write 1 or 0"
    with pytest.raises(ConfigError, match="no such column in"):
        load(path, text="comment_text", labels=["c", "x"])
    with pytest.raises(ConfigError, match="use primary=multilabel"):
        load_files(FilesOptions(str(path), labels=["a", "b"]))


def test_decimals_say_whether_a_row_has_a_label():
    row = Row({}, "mine.parquet")
    assert [indicated(Decimal(n), "toxic", row) for n in ("1.00", "0.00")] == [True, False]
    with pytest.raises(DataError, match="column 'toxic' is Decimal: write 1 or 0"):
        indicated(Decimal("0.50"), "toxic", row)


def test_lists_of_json_are_read_by_every_source(tmp_path: Path):
    lines = [json.dumps({"text": f"text {n}", "label": labels}) for n, labels in enumerate(ROWS)]
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    assert named(load_jsonl(JsonlOptions(str(tmp_path)), SETS, ("train",))) == EXPECTED
    assert named(load(tmp_path / "train.jsonl")) == EXPECTED


def test_missing_splits_are_made_and_labels_kept(tmp_path: Path):
    path = tmp_path / "mine.jsonl"
    rows = [{"text": f"text {n}", "label": ROWS[n % 6]} for n in range(120)]
    path.write_text("\n".join(map(json.dumps, rows)))
    task = load_files(FilesOptions(str(path)), SETS)
    for split in ("train", "dev", "test"):
        assert {id for ids in getattr(task, split)["label"][:] for id in ids} == {0, 1, 2}
    part = keep_labels(task, LabelledOptions(8))
    assert part.subset is not None
    assert all(part.subset.labels.values())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "x", "label": "a"}, "label is a string: make it a list of strings"),
        ({"text": "x", "label": None}, "label is null: make it a list of strings"),
        ({"text": "x", "label": ["a", 1.5]}, "entry 2 of label is a float: make it a string"),
        ({"text": "x", "label": [True]}, "entry 1 of label is a boolean: make it a string"),
        ({"text": "x", "label": [" "]}, "entry 1 of label is empty: fill it or remove the row"),
    ],
)
def test_other_labels_are_refused(row, message, tmp_path: Path):
    good = {"text": "y", "label": ["a", "b"]}
    (tmp_path / "train.jsonl").write_text(f"{json.dumps(good)}\n{json.dumps(row)}")
    with pytest.raises(DataError) as caught:
        load_jsonl(JsonlOptions(str(tmp_path)), SETS, ("train",))
    assert str(caught.value) == f"{tmp_path}/train.jsonl:2: {message}"


def test_a_gap_beside_a_separator_and_no_label_at_all_are_refused(tmp_path: Path):
    path = tmp_path / "mine.csv"
    path.write_text("text,label\nx,a|b\ny,a||b\n")
    with pytest.raises(DataError) as caught:
        load(path)
    assert str(caught.value) == (
        "mine.csv row 1 (mine.csv:3): label is 'a||b', where a label beside '|' is empty: remove "
        "the '|'"
    )
    path.write_text('text,label\nx,""\ny,""\n')
    with pytest.raises(DataError, match="mine: no row of train has a label: give some rows labels"):
        load(path)
