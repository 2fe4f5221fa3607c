"""A spreadsheet takes no text of a table for a formula."""

import csv
from pathlib import Path

import pytest

from support.pages import prediction, write_run
from tartan.report.pages import write_csv
from tartan.report.run_page import write_run_report
from tartan.report.text import cell

FORMULAS = [
    "=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "=", "-",
    "\uff1d1+1", "\uff0b1", "\uff0dA1", "\uff20SUM(A1)", '="a""b"', "=1;2", "+49 30 1", "--x",
]  # fmt: skip
NUMBERS = ["-1", "+1", "-1.5", "1e-3", "-.5", "0", "-2E+10", "007"]


def read(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_is_a_formula_gets_an_apostrophe(tmp_path: Path, text: str):
    write_csv(tmp_path / "table.csv", [{text: text, "n": -1.5}])
    (header, _), (field, number) = read(tmp_path / "table.csv")
    assert header == field
    assert field.startswith("'")
    assert field[1:].replace("\ufffd", "\r") == text
    assert number == "-1.5"


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_stay_numbers(text: str):
    assert cell(text) == text
    assert cell(float(text)) == str(float(text))


@pytest.mark.parametrize(
    "text", ["plain", "a=b", "a-b", "x@y", "naïve", "a|b", "a;b", 'a"b', "a,b"]
)
def test_other_texts_come_back_as_they_are(tmp_path: Path, text: str):
    write_csv(tmp_path / "table.csv", [{"text": text, "none": None}, {"text": 1, "more": True}])
    assert read(tmp_path / "table.csv") == [
        ["text", "none", "more"], [text, "", ""], ["1", "", "True"],
    ]  # fmt: skip


def test_no_separator_of_another_country_begins_a_formula():
    """Where `;` or a tab separates, a quoted field is still one field."""
    assert cell("a;=1+1") == '"a;=1+1"'
    assert cell("a\t=1+1") == '"a\t=1+1"'


def test_labels_of_a_confusion_are_escaped(tmp_path: Path):
    labels = ["=1+1", "-1"]
    lines = [prediction(n, "text", labels[n % 2], labels[0], 0.5) for n in range(4)]
    write_run_report(write_run(tmp_path / "run", labels=labels, predictions=lines), 1)
    rows = read(tmp_path / "run/confusion.csv")
    assert rows[0][1:] == ["'=1+1", "-1"]
    assert [row[0] for row in rows[1:]] == ["'=1+1", "-1"]
