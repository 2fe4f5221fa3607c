"""Data files of `source: hub`: values as they are written, errors with file and line."""

import bz2
import gzip
import json
import lzma
from collections.abc import Mapping
from pathlib import Path

import datasets
import pandas
import pytest

from support.hub_files import GOOD, labels_of, load, refusal, write
from support.shared import SHARED
from tartan import LabelKind
from tartan.data import HubOptions, HubSplits, load_task
from tartan.errors import ConfigError, DataError

FAULTS = SHARED / "faults"


ENCODINGS = {
    "cp1252": ("cp1252", "train.csv:3: byte 4 of the line (0xe9, 'é' in Windows-1252) is not UTF-"),
    "latin-1": ("latin-1", "train.csv:3: byte 4 of the line (0xe9, 'é' in Windows-1252) is not UT"),
    "utf-16": ("utf-16", "train.csv:1: the file is UTF-16, not UTF-8"),
    "utf-16-le": ("utf-16-le", "train.csv:1: the line holds a NUL byte, it is not UTF-8 text (UTF"),
    "utf-16-be": ("utf-16-be", "train.csv:1: the line holds a NUL byte, it is not UTF-8 text (UTF"),
    "utf-32": ("utf-32", "train.csv:1: the file is UTF-32, not UTF-8"),
    "shift-jis": ("shift-jis", "train.csv:2: byte 1 of the line (0x93, '“' in Windows-1252) is no"),
}  # fmt: skip


@pytest.mark.parametrize("case", ENCODINGS)
def test_another_encoding_is_named_with_file_and_line(tmp_path: Path, capfd, case: str):
    encoding, message = ENCODINGS[case]
    text = "text,label\n日本,warm\n" if case == "shift-jis" else "text,label\na,warm\ncafé,cold\n"
    found = refusal(write(tmp_path / "D", text.encode(encoding)))
    assert found.startswith(message)
    assert found.endswith("save the file as UTF-8 text")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["csv", "tsv", "json", "jsonl"])
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_another_encoding_is_named_in_every_format_and_split(tmp_path: Path, kind: str, split: str):
    broken = GOOD[kind].replace("a red", "né").encode("latin-1")
    directory = write(tmp_path / "D", GOOD[kind], kind)
    (directory / f"{split}.{kind}").write_bytes(broken)
    line = 1 if "json" in kind else 2
    found = refusal(directory)
    assert found.startswith(f"{split}.{kind}:{line}: byte ")
    assert "'é' in Windows-1252) is not UTF-8: " in found


def test_a_byte_order_mark_of_utf_8_does_not_matter(tmp_path: Path):
    for kind in ("csv", "json"):
        task = load(write(tmp_path / kind, "\ufeff" + GOOD[kind], kind))
        assert task.train["text"][:] == ["a red", "a blue"]


def test_a_file_that_is_cut_inside_a_character_or_holds_nul_is_refused(tmp_path: Path):
    cut = "text,label\na,warm\nb,caf\u00e9".encode()[:-1]
    assert refusal(write(tmp_path / "D", cut)) == (
        "train.csv:3: byte 6 of the line (0xc3) begins a character that is cut off, which is not "
        "UTF-8: save the file as UTF-8 text"
    )
    assert refusal(write(tmp_path / "D", "text,label\na\0b,warm\n")).startswith(
        "train.csv:2: the line holds a NUL byte, it is not UTF-8 text: "
    )
    array = json.dumps([{"text": "é", "label": "x"}] * 3, ensure_ascii=False, indent=0)
    assert refusal(write(tmp_path / "E", array.encode("cp1252"), "json")) == (
        "train.json:3: a byte (0xe9, 'é' in Windows-1252) is not UTF-8: save the file as UTF-8 text"
    )


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"PK\x03\x04zip", "a zip archive"), (b"\x1f\x8bgz", "compressed by gzip"),
     (b"PAR1xx", "a Parquet file"), (b"%PDF-1.7\n", "a PDF document")],
)  # fmt: skip
@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_a_file_of_another_kind_is_named(tmp_path: Path, content: bytes, kind: str, suffix: str):
    found = refusal(write(tmp_path / "D", content, suffix))
    assert found.startswith(f"train.{suffix}:1: the file is {kind}")
    assert "not UTF-8 text" in found


@pytest.mark.parametrize("content", [b"", b"PAR1", b"text,label\n", b"PAR1" + b"x" * 99 + b"PAR1"])
def test_a_parquet_file_that_is_broken_is_named(tmp_path: Path, dictionary, capfd, content: bytes):
    directory = parquet(tmp_path / "D", dictionary)
    (directory / "validation.parquet").write_bytes(content)
    assert refusal(directory).startswith("validation.parquet: cannot be read as a Parquet file (")
    assert capfd.readouterr() == ("", "")


def parquet(directory: Path, parts: Mapping[str, datasets.Dataset]) -> Path:
    directory.mkdir()
    for split, rows in parts.items():
        pandas_or_rows = rows if isinstance(rows, pandas.DataFrame) else rows.to_pandas()
        pandas_or_rows.to_parquet(directory / f"{split}.parquet")
    return directory


def test_labels_and_texts_are_as_they_are_written(tmp_path: Path):
    written = ["007", "013", "7", "1.0", "1", "True", "2020-01-02", "1e3", "NA", "None", "null"]
    rows = [f"{text},{label}" for text, label in zip(reversed(written), written, strict=True)]
    task = load(write(tmp_path / "D", "\n".join(["text,label", *rows]), other="text,label\nx,NA\n"))
    assert labels_of(task) == written
    assert task.train["text"][:] == list(reversed(written))


def test_class_ids_in_csv_are_in_the_order_of_numbers(tmp_path: Path):
    rows = "".join(f"text {n},{n}\n" for n in (10, 9, 2, 0, "9" * 5000))
    task = load(write(tmp_path / "D", "text,label\n" + rows, other="text,label\nx,2\n"))
    assert task.labels == ("0", "2", "9", "10", "9" * 5000)


@pytest.mark.parametrize("word", ["NA", "None", "null", "nan", "N/A", "#N/A", "NULL", "n/a"])
def test_a_word_for_a_missing_value_among_ids_names_its_row(tmp_path: Path, word: str):
    content = f"text,label\na,0\nb,1\nc,{word}\nd,0\n"
    directory = write(tmp_path / "D", content, other="text,label\nx,1\n")
    assert refusal(directory) == (
        f"D train row 2 (train.csv:4): label is '{word}' and the others are numbers: the cell "
        "reads as missing: fill it or remove the row, or give the class another name"
    )


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("cell", ["", " ", '""'])
@pytest.mark.parametrize("labels", [LabelKind.CLASS, LabelKind.NUMBER])
def test_an_empty_cell_names_its_own_row(tmp_path: Path, split: str, cell: str, labels: LabelKind):
    content = f"text,label\na,0\n\nb,1\nc,{cell}\nd,0\n"
    good, other = (f"text,label\n{name} x,1\n{name} y,0\n" for name in ("a", "b"))
    directory = write(tmp_path / "D", good, other=other, **{split: content})
    assert refusal(directory, labels) == (
        f"D {split} row 2 ({split}.csv:5): label is empty: the cell reads as missing: fill it or "
        "remove the row"
    )


def test_an_empty_text_names_its_row(tmp_path: Path):
    for header, row in (("text,label", " ,warm"), ("text,text_pair,label", "a,,warm")):
        first = ",".join(["x"] * (header.count(",") + 1))
        directory = write(
            tmp_path / "D", f"{header}\n{first}\n{row}\n", other=f"{header}\n{first}\n"
        )
        assert "D train row 1 (train.csv:3): " in (found := refusal(directory))
        assert found.endswith("text is empty: fill it or remove the row")


def test_a_missing_id_that_makes_a_parquet_column_floats_names_its_row(tmp_path: Path):
    good = pandas.DataFrame({"text": ["x", "y"], "label": [0, 1]})
    holes = pandas.DataFrame({"text": ["a", "b", "c"], "label": [0, 1, None]})
    directory = parquet(tmp_path / "D", {"train": holes, "validation": good, "test": good})
    assert refusal(directory) == (
        "D train row 2 (train.parquet): the row is unlabelled (label None; it reads as missing): "
        "fill it, remove the row, or choose splits with labels in data.splits"
    )


def test_categories_of_parquet_are_classes(tmp_path: Path):
    frames = {
        split: pandas.DataFrame({"text": [f"{split} a", f"{split} b"], "label": ["x", "y"]})
        for split in ("train", "validation", "test")
    }
    for frame in frames.values():
        frame["label"] = frame["label"].astype("category")
    assert load(parquet(tmp_path / "D", frames)).labels == ("x", "y")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("nan", "label is 'nan': the cell reads as missing: fill it or remove the row"),
        ("NA", "label is 'NA': the cell reads as missing: fill it or remove the row"),
        ('"1,5"', "label is '1,5': make it a finite number, written like -1234.5"),
        ("1_000", "label is '1_000': make it a finite number, written like -1234.5"),
        ("inf", "label is 'inf': make it a finite number, written like -1234.5"),
        ("1e999", "label is '1e999': make it a finite number, written like -1234.5"),
        ("٣", "label is '٣': make it a finite number, written like -1234.5"),
        ("0x10", "label is '0x10': make it a finite number, written like -1234.5"),
    ],
)
def test_numbers_in_csv_are_read_strictly(tmp_path: Path, cell: str, message: str):
    good = "text,label\nx,1\ny,-2.5e-1\nz, +.5 \n"
    other = "text,label\nother,1\n"
    assert load(write(tmp_path / "D", good, other=other), LabelKind.NUMBER).train["label"][:] == [
        1.0, -0.25, 0.5
    ]  # fmt: skip
    directory = write(tmp_path / "D", f"text,label\nx,1\ny,{cell}\n", other=other)
    assert refusal(directory, LabelKind.NUMBER) == f"D train row 1 (train.csv:3): {message}"


def test_quotes_and_line_breaks_in_cells_are_kept(tmp_path: Path):
    text = 'he said ""hi"",\r\nthen, he left'
    written = f'text,label\r\n"{text}",warm\r\n5" nails,cold\r\n'
    task = load(write(tmp_path / "D", written))
    assert task.train["text"][:] == ['he said "hi",\r\nthen, he left', '5" nails']


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,warm\nb, red,cold\n", "train.csv:3: the row has 3 cells and the header 2 cells: put "),
        ("a,warm\nb\n", "train.csv:3: the row has 1 cell and the header 2 cells: put cells that "),
        ('a,warm\n"b,cold\nc,warm\n', "train.csv:3: the row that begins here is not CSV (unexpect"),
        ('a,warm\n"b" c,cold\n', "train.csv:3: the row that begins here is not CSV (',' expected "),
        ("a\rb,warm\n", "train.csv:2: the row that begins here is not CSV (new-line character "),
    ],
)  # fmt: skip
def test_a_row_that_is_not_csv_is_refused_where_it_begins(tmp_path: Path, rows: str, message: str):
    assert refusal(write(tmp_path / "D", f"text,label\n{rows}")).startswith(message)


def test_a_header_without_the_column_says_what_it_has(tmp_path: Path):
    semicolons = "text;label\na;warm\n"
    assert refusal(write(tmp_path / "D", semicolons, other=semicolons)) == (
        "data.text_column=text: no such column in D: its cells are separated by semicolons: use "
        "commas, or tabs in a .tsv file"
    )
    assert refusal(write(tmp_path / "D", "text,label,text\na,warm,b\n")).startswith(
        "train.csv:1: the header has the column 'text' twice: rename one"
    )


@pytest.mark.parametrize(("suffix", "compress"), [
    ("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)
])  # fmt: skip
def test_compressed_files_are_read_and_not_unpacked(tmp_path: Path, suffix: str, compress):
    directory = tmp_path / "D"
    directory.mkdir()
    for split in ("train", "validation", "test"):
        content = GOOD["csv"] if split == "train" else GOOD["csv"].replace("a red", "one more")
        (directory / f"{split}.csv.{suffix}").write_bytes(compress(content.encode()))
    assert load(directory).train["text"][:] == ["a red", "a blue"]
    assert not Path(datasets.config.HF_DATASETS_CACHE, "downloads").exists()
    damaged = compress(GOOD["csv"].encode())[:-9]
    (directory / f"train.csv.{suffix}").write_bytes(damaged)
    assert refusal(directory).startswith(f"train.csv.{suffix}: cannot be read (")


def test_no_copy_of_the_texts_is_left_in_a_cache(tmp_path: Path):
    for kind in ("csv", "json"):
        load(write(tmp_path / kind, GOOD[kind], kind))
    left = [path for path in Path(datasets.config.HF_DATASETS_CACHE).rglob("*") if path.is_file()]
    assert left == []


CARD = """---
configs:
- config_name: default
  sep: ";"
  data_files:
  - {split: train, path: some.csv}
  - {split: validation, path: other.csv}
dataset_info:
  config_name: default
  features:
  - {name: text, dtype: string}
  - name: label
    dtype: {class_label: {names: {'0': plant, '1': animal}}}
---
"""


def test_a_dataset_card_says_which_files_and_classes_there_are(tmp_path: Path):
    directory = tmp_path / "D"
    directory.mkdir()
    (directory / "README.md").write_text(CARD)
    (directory / "some.csv").write_text("text;label\nan oak;0\na cat;1\na dog;animal\n")
    (directory / "other.csv").write_text("text;label\nan elm;0\n")
    splits = HubSplits("train", "validation", "validation")
    task = load(directory, splits=splits)
    assert (task.labels, task.train["label"][:]) == (("plant", "animal"), [0, 1, 1])
    (directory / "other.csv").write_text("text;label\nan elm;2\n")
    assert refusal(directory, splits=splits) == (
        "D validation row 0 (other.csv:2): label 2 is not one of the 2 classes that the dataset "
        "declares: choose from: animal, plant"
    )
    (directory / "other.csv").write_text(f"text;label\nan elm;{'9' * 5000}\n")  # too long for int
    assert "is not one of the 2 classes" in refusal(directory, splits=splits)


def test_a_cell_that_is_a_name_and_the_id_of_another_class_is_refused(tmp_path: Path):
    """Of stars from 1 to 3: both 1 and 2 may be one or two stars."""
    directory = write(tmp_path / "D", "", **{"some": "text;label\nbad;0\nfine;1\n"})
    card = CARD.replace("'0': plant, '1': animal", "'0': '1', '1': '2', '2': '3'")
    (directory / "README.md").write_text(card)
    (directory / "other.csv").write_text("text;label\ngood;3\n")
    splits = HubSplits("train", "validation", "validation")
    assert refusal(directory, splits=splits) == (
        "D train row 1 (some.csv:3): label 1 is the name of a class and the id of class '2', by "
        "the names that the dataset declares: remove them from its card (README.md), or write the "
        "rows as JSON lines, ids as numbers and names as strings"
    )
    (directory / "some.csv").write_text("text;label\nbad;0\ngood;3\n")  # these are clear
    assert load(directory, splits=splits).labels == ("1", "3")


def test_a_dataset_of_the_hub_is_read_from_what_was_fetched_where_there_is_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    stored = tmp_path / "datasets--me--pets"
    (stored / "refs").mkdir(parents=True)
    (stored / "refs/main").write_text("1" * 40)
    (stored / "snapshots").mkdir()
    rows = "text,label\na red,NA\na blue,007\nx,x\n"
    write(stored / "snapshots" / ("1" * 40), rows, other="text,label\none,NA\n")
    task = load_task("hub", HubOptions(name="me/pets"))
    assert (task.name, labels_of(task)) == ("pets", ["NA", "007", "x"])
    with pytest.raises(DataError, match=r"^data\.name=me/other cannot be loaded \("):
        load_task("hub", HubOptions(name="me/other"))


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path):
    write(tmp_path / "D", GOOD["csv"])
    assert refusal(tmp_path / "D/train.csv") == (
        "data.name=D is a file: read it with data=files data.path=D"
    )


def test_a_text_file_has_no_labels(tmp_path: Path):
    directory = tmp_path / "D"
    directory.mkdir()
    for split in ("train", "validation", "test"):
        (directory / f"{split}.txt").write_text("one\ntwo\n")
    with pytest.raises(ConfigError, match=r"data\.label_column=label: no such column in "):
        load(directory)


@pytest.mark.skipif(not FAULTS.is_dir(), reason="../shared is missing")
@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("6/csv_cp1252", "train.csv:2: byte 41 of the line (0xdf, 'ß' in Windows-1252) is not UTF"),
        ("7/csv_intmissing", "D train row 4 (train.csv:6): label is empty: the cell reads as miss"),
        ("10/json_mixtext", "D train row 9 (train.jsonl:10): text is an integer: make it a string"),
    ],
)  # fmt: skip
def test_inputs_that_failed_are_refused_at_their_row(folder: str, expected: str):
    assert refusal(FAULTS / folder).replace(folder.split("/")[1], "D").startswith(expected)


@pytest.mark.skipif(not FAULTS.is_dir(), reason="../shared is missing")
def test_a_class_may_be_called_na():
    assert load(FAULTS / "7/csv_na").labels == ("AS", "EU", "NA")
