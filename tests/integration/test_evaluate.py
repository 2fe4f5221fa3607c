"""evaluate: the columns that it reads, and where it writes."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.command import Answer, write_task
from support.inference import trained, write_csv
from tartan.inference.evaluation import Evaluation, summarise

Tartan = Callable[..., Answer]


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("classes")
    write_task(directory / "task")
    return trained(directory, "steps=30")


def test_a_text_that_is_named_is_read_without_a_second_one(
    tartan: Tartan, classes: Path, tmp_path: Path
):
    rows = [{"text": "red sky", "label": "warm"}, {"text": "blue sea", "label": "cold"}]
    write_csv(tmp_path / "alone.csv", rows)
    write_csv(tmp_path / "pairs.csv", [{**row, "text_pair": "blue red " * 4} for row in rows])
    lines = [
        tartan("evaluate", str(classes), name, "data.text=text", "resamples=2", f"out={name}.out")
        for name in ("alone.csv", "pairs.csv")
    ]
    assert [answer.status for answer in lines] == [0, 0]
    found = [json.loads(Path(f"{name}.csv.out/evaluation.json").read_text())
             for name in ("alone", "pairs")]  # fmt: skip
    assert found[0]["metrics"] == found[1]["metrics"]


def test_evaluate_reads_columns_of_any_name_and_writes_beside_the_run(
    tartan: Tartan, classes: Path, tmp_path: Path
):
    write_csv(tmp_path / "june.tsv", [{"n": 1, "T": "red", "L": "warm"}], "\t")
    columns = ["data.text=T", "data.label=L", "resamples=5"]
    answer = tartan("evaluate", str(classes), "june.tsv", *columns)
    assert answer.status == 0, answer.err
    assert answer.out.startswith("1 row of june.tsv (text from 'T', label from 'L')\nmacro_f1")
    assert (classes / "evaluations/june/evaluation.html").is_file()
    again = tartan("evaluate", str(classes), "june.tsv", *columns)
    assert again.status == 2
    assert again.err.endswith("june is there already and is not overwritten: give out=DIRECTORY\n")
    write_csv(tmp_path / "other.tsv", [{"n": 1, "T": "red", "L": "worm"}], "\t")
    unknown = tartan("evaluate", str(classes), "other.tsv", *columns)
    assert unknown.status == 2
    assert "'worm' does not occur in train: did you mean 'warm'?" in unknown.err
    assert not (classes / "evaluations/other").exists()


def test_evaluate_looks_at_its_arguments_before_it_computes(
    tartan: Tartan, classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of the places that it cannot write to, and of a run, nothing is computed."""
    (tmp_path / "there.csv").write_text("text,label\nred,warm\n")
    (tmp_path / "link").symlink_to("nowhere")
    monkeypatch.setattr("tartan.inference.evaluation.score_file", None)
    there, run = tmp_path / "there.csv", str(classes)
    for arguments, line in (
        ([run, "out=there.csv/x"], f"out=there.csv/x: {there} is a file; give a directory"),
        ([run, "out=link"], "link is there already and is not overwritten: give out=DIRECTORY"),
        ([run, "out=."], ". is there already and is not overwritten: give out=DIRECTORY"),
        ([run, "out=/proc/x"], "/proc/x cannot be written (No such file or directory): its "
         "directory was removed, renamed or unmounted; put it back, then give the same command, "
         "or choose another directory"),
        (["there.csv"], "there.csv is not a run's directory, but a file: give the directory of a "
         "run that is complete"),
    ):  # fmt: skip
        answer = tartan("evaluate", arguments[0], "there.csv", *arguments[1:])
        assert answer.refusal() == f"tartan: {line}\n"


def test_results_that_appear_while_it_computes_are_not_replaced(
    tartan: Tartan, classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_csv(tmp_path / "few.csv", [{"text": "red", "label": "warm"}])

    def slow(*given: Any) -> Evaluation:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine/precious").write_text("")
        return summarise(*given)

    monkeypatch.setattr("tartan.inference.evaluation.summarise", slow)
    answer = tartan("evaluate", str(classes), "few.csv", "out=mine", "resamples=2")
    refusal = "mine is there already and is not overwritten: give out=DIRECTORY"
    assert answer.refusal() == f"tartan: {refusal}\n"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["precious"]


def test_the_results_of_a_hidden_file_have_a_name(tartan: Tartan, classes: Path, tmp_path: Path):
    (tmp_path / ".hidden.csv.gz").write_bytes(gzip.compress(b"text,label\nred,warm\n"))
    answer = tartan("evaluate", str(classes), ".hidden.csv.gz", "resamples=2")
    assert answer.status == 0, answer.err
    assert (classes / "evaluations/hidden/evaluation.json").is_file()
    (tmp_path / "test.v2.csv").write_text("text,label\nred,warm\n")
    assert tartan("evaluate", str(classes), "test.v2.csv", "resamples=2").status == 0
    assert (classes / "evaluations/test.v2/evaluation.json").is_file()
