"""The file that predict writes holds every row of its input as it was read."""

import errno
import json
import os
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from unittest.mock import Mock

import pyarrow
import pytest
from pyarrow import parquet

from support.command import Answer, write_task
from support.inference import read_csv, trained

Tartan = Callable[..., Answer]


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("classes")
    write_task(directory / "task")
    return trained(directory)


def read_back(tartan: Tartan, run: Path, source: str, target: str) -> str:
    """What predict writes of a file, without what it predicts."""
    answer = tartan("predict", str(run), source, target)
    assert (answer.status, answer.err) == (0, "")
    text = Path(target).read_text(encoding="utf-8")
    own = r', "predicted": .*(?=})' if target.endswith("jsonl") else r",(predicted|warm|cold),.*"
    return re.sub(own, "", text)


def test_columns_without_a_name_keep_their_cells(
    tartan: Tartan, classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Also where a file system has no hard links."""
    refusal = PermissionError(errno.EPERM, "not permitted")
    monkeypatch.setattr(os, "link", Mock(side_effect=refusal))
    (tmp_path / "export.csv").write_text(',text, ,\n1,red sky,a,\n2,blue,b,"c,d"\n')
    assert (
        read_back(tartan, classes, "export.csv", "out.csv") == (tmp_path / "export.csv").read_text()
    )
    found = read_back(tartan, classes, "export.csv", "out.jsonl").splitlines()
    assert found[1] == '{"": "2", "text": "blue", " ": "b", "  ": "c,d"}'


def test_a_csv_file_has_the_separator_of_the_one_that_was_read(
    tartan: Tartan, classes: Path, tmp_path: Path
):
    (tmp_path / "export.csv").write_text("text;note\nred sky;1,5\nblue;x\n")
    assert tartan("predict", str(classes), "export.csv", "out.csv").status == 0
    assert tartan("predict", str(classes), "export.csv", "out.tsv").status == 0
    found = read_csv(tmp_path / "out.csv", ";")
    assert [row["note"] for row in found] == ["1,5", "x"]
    assert found == read_csv(tmp_path / "out.tsv", "\t")


def test_a_table_has_the_byte_order_mark_of_the_one_that_was_read(
    tartan: Tartan, classes: Path, tmp_path: Path
):
    """By which Excel knows that `Zuständig` is UTF-8."""
    (tmp_path / "export.csv").write_text("text,Zuständig\nred sky,Jürgen\n", "utf-8-sig")
    for name, marked in (("out.csv", True), ("out.tsv", True), ("out.jsonl", False)):
        assert tartan("predict", str(classes), "export.csv", name).status == 0
        content = (tmp_path / name).read_bytes()
        assert content.startswith(b"\xef\xbb\xbf") == marked
        assert "Jürgen" in content.decode()
        assert content.count(b"\xef\xbb\xbf") == marked


def test_a_run_that_is_named_by_its_options_is_no_option(
    tartan: Tartan, classes: Path, tmp_path: Path
):
    """As a sweep names its runs."""
    (tmp_path / "batch_size=16,seed=0").symlink_to(classes)
    question = "why? " * 80  # longer than a file's name can be
    (tmp_path / "texts.csv").write_text(f"{question}\nred sky\n")
    options = ["batch_size=2", f"data.text={question}"]
    answer = tartan("predict", "batch_size=16,seed=0", "texts.csv", "out.csv", *options)
    assert (answer.status, answer.err) == (0, "")


def test_out_may_be_written_as_an_option(tartan: Tartan, classes: Path, tmp_path: Path):
    (tmp_path / "texts.csv").write_text("text\nred sky\n")
    answer = tartan("predict", str(classes), "out=mine.csv", "texts.csv")
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.endswith(": mine.csv\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.csv", "texts.csv"]
    refused = tartan("predict", str(classes), "texts.csv", "one.csv", "out=two.csv").refusal()
    assert "'two.csv' is one argument too many: give RUN TEXTS OUT" in refused


def test_predictions_are_kept_where_another_program_makes_the_file_meanwhile(
    tartan: Tartan, classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    link = os.link

    def late(source: Path, target: Path) -> None:
        for name in ("out.csv", "out-2.csv"):
            (tmp_path / name).touch()
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    (tmp_path / "texts.csv").write_text("text\nred sky\n")
    assert tartan("predict", str(classes), "texts.csv", "out.csv").refusal() == (
        "tartan: out.csv was made by another program meanwhile and is not overwritten: the "
        "predictions are complete in out-3.csv\n"
    )
    assert [row["text"] for row in read_csv(tmp_path / "out-3.csv")] == ["red sky"]
    assert not (tmp_path / "out.csv").read_text()
    names = ["out-2.csv", "out-3.csv", "out.csv", "texts.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


JSON_LINES = (
    '{"text": "red sky", "a": "\\ud83d x"}\n{"text": "blue", "b": [1, "\\ud83d"], "c": 2}\n'
)
HALF = r"\ud83d"


def test_fields_that_the_first_row_lacks_and_half_characters_are_written(
    tartan: Tartan, classes: Path, tmp_path: Path
):
    (tmp_path / "rows.jsonl").write_text(JSON_LINES)
    lines = read_back(tartan, classes, "rows.jsonl", "out.csv").splitlines()
    assert lines[0] == "text,a,b,c"
    assert lines[1] == rf"red sky,{HALF} x,,"
    assert lines[2] == rf'blue,,"[1, ""{HALF}""]",2'
    assert read_back(tartan, classes, "rows.jsonl", "out.jsonl") == JSON_LINES


def test_what_parquet_holds_and_json_does_not_is_written(
    tartan: Tartan, classes: Path, tmp_path: Path
):
    table = {
        "text": ["red"], "days": [[date(2026, 1, 2)]], "n": [float("nan")],
        "image": [{"bytes": b"ab", "more": [float("inf"), 1.5]}],
    }  # fmt: skip
    parquet.write_table(pyarrow.table(table), tmp_path / "rows.parquet")
    read_back(tartan, classes, "rows.parquet", "out.csv")
    (row,) = read_csv(tmp_path / "out.csv")
    assert json.loads(row["days"]) == ["2026-01-02"]
    assert json.loads(row["image"]) == {"bytes": "b'ab'", "more": [None, 1.5]}
    text = read_back(tartan, classes, "rows.parquet", "out.jsonl")
    found = json.loads(text, parse_constant=pytest.fail)
    assert found == {
        "text": "red",
        "days": ["2026-01-02"],
        "n": None,
        "image": json.loads(row["image"]),
    }
