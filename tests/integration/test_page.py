"""The page that a run leaves, and what it is made of."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support.command import SMALL, Answer, summary, write_task
from support.pages import check_self_contained, read

Tartan = Callable[..., Answer]
NUMBERS = [{"text": f"{'good ' * n}text {n}", "label": n / 2} for n in range(8)]
TAGS = [
    {"tokens": ["in", word, "\u200b", "today"], "tags": ["O", "B-LOC", "O", "O"]}
    for word in ("Rome", "Oslo", "Lima", "Bern", "Rome", "Oslo")
]
MODEL = SMALL[:9]
DEMO = [*SMALL, "report=true"]


def predicted(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "predictions-dev.jsonl").open()]


def test_a_run_leaves_a_page(tartan: Tartan, tmp_path: Path):
    answer = tartan("run", "objectives=[mlm]", "weighting=meta", "run_dir=out", *DEMO)
    assert answer.status == 0, answer.err
    page, found = read(tmp_path / "out/report.html"), summary(tmp_path / "out")
    check_self_contained(page)
    assert f"{found['test']['macro_f1']:.4f}" in page.cells()
    assert page.texts("figcaption")[-1] == "Cosine with the dev gradient"
    assert found["data"]["dev"]["sha256"] in page.cells()
    lines = predicted(tmp_path / "out")
    assert [line["row"] for line in lines] == list(range(16))
    right = sum(line["label"] == line["predicted"] for line in lines)
    assert right / 16 == pytest.approx(found["dev"]["accuracy"])
    assert all(0.25 <= line["probability"] <= 1 for line in lines)


def test_a_page_that_is_missing_is_made_again(tartan: Tartan, tmp_path: Path):
    run = ["run", "run_dir=out", *DEMO]
    tartan(*run)
    before = (tmp_path / "out/report.html").read_bytes()
    (tmp_path / "out/report.html").unlink()
    assert tartan(*run).status == 0
    assert (tmp_path / "out/report.html").read_bytes() == before


def test_a_run_may_leave_no_page_and_make_it_later(tartan: Tartan, tmp_path: Path):
    run = ["run", "run_dir=out", *DEMO]
    assert tartan(*run, "report=false").status == 0
    shown = {"report.html", "report.md", "metrics.csv", "confusion.csv", "figures"}
    assert not shown & {path.name for path in (tmp_path / "out").iterdir()}
    written = (tmp_path / "out/summary.json").read_bytes()
    assert tartan(*run).status == 0
    assert shown <= {path.name for path in (tmp_path / "out").iterdir()}
    assert (tmp_path / "out/summary.json").read_bytes() == written


def test_a_plot_that_fails_costs_nothing_but_the_page(
    tartan: Tartan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no font\nfound")

    with monkeypatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure.savefig", fail)
        answer = tartan("run", "run_dir=out", *DEMO)
    assert answer.status == 0
    assert answer.err == (
        "tartan: report.html was not written (RuntimeError: no font found). All results are "
        "complete; give the same command to try again\n"
    )
    assert "best model" in answer.out
    assert summary(tmp_path / "out")["test"]
    assert len(predicted(tmp_path / "out")) == 16
    assert tartan("run", "run_dir=out", *DEMO).err == ""
    check_self_contained(read(tmp_path / "out/report.html"))


def test_texts_are_kept_out_of_what_a_run_leaves(tartan: Tartan, tmp_path: Path):
    write_task(tmp_path / "data")
    answer = tartan(
        "run", "data=jsonl", "data.dir=data", "run_dir=out", "report_examples=0", *MODEL
    )
    assert answer.status == 0, answer.err
    assert "number 0 of dev" in (tmp_path / "data/dev.jsonl").read_text()
    for path in (tmp_path / "out").rglob("*.*"):
        assert b"number 0 of dev" not in path.read_bytes() if path.is_file() else True, path
    assert set(predicted(tmp_path / "out")[0]) == {"row", "label", "predicted", "probability"}
    assert "Mistakes on dev" in read(tmp_path / "out/report.html").texts("h2")


def test_numbers_are_predicted_row_by_row(tartan: Tartan, tmp_path: Path):
    data = write_task(tmp_path / "data", train=NUMBERS, dev=NUMBERS[::-1], test=NUMBERS,
                      unlabelled="some other text\n")  # fmt: skip
    answer = tartan("run", "primary=regression", "data=jsonl", f"data.dir={data}", "run_dir=out",
                    "schedule=finetune", *MODEL)  # fmt: skip
    assert answer.status == 0, answer.err
    lines = predicted(tmp_path / "out")
    assert [line["label"] for line in lines] == [row["label"] for row in NUMBERS[::-1]]
    mean = sum(line["label"] for line in lines) / 8
    missed = sum((line["label"] - line["predicted"]) ** 2 for line in lines)
    varied = sum((line["label"] - mean) ** 2 for line in lines)
    assert 1 - missed / varied == pytest.approx(summary(tmp_path / "out")["dev"]["r2"], rel=1e-4)
    assert "Predicted over given" in read(tmp_path / "out/report.html").texts("figcaption")


def test_words_are_predicted_one_by_one_without_those_that_no_token_stands_for(
    tartan: Tartan, tmp_path: Path
):
    data = write_task(tmp_path / "data", train=TAGS, dev=TAGS, test=TAGS,
                      unlabelled="some other text\n")  # fmt: skip
    answer = tartan("run", "primary=tokens", "data=jsonl", f"data.dir={data}", "run_dir=out",
                    "schedule=finetune", *MODEL)  # fmt: skip
    assert answer.status == 0, answer.err
    lines = predicted(tmp_path / "out")
    assert lines[0]["words"] == ["in", "Rome", "today"]
    assert lines[0]["label"] == ["O", "B-LOC", "O"]
    pairs = [p for line in lines for p in zip(line["label"], line["predicted"], strict=True)]
    right = sum(given == found for given, found in pairs) / len(pairs)
    assert right == pytest.approx(summary(tmp_path / "out")["dev"]["accuracy"])
    assert "wrong words" in (tmp_path / "out/report.html").read_text() or right == 1
