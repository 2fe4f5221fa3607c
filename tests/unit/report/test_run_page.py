"""A run's page shows what was run and what came out, whatever names and texts it has."""

import csv
from pathlib import Path
from xml.etree import ElementTree

import pytest

from support.pages import HOSTILE, Page, check_self_contained, prediction, read, rendered, write_run
from tartan.errors import CheckpointError
from tartan.report.run_page import write_run_report
from tartan.report.text import visible

LABELS = [f"label{number}" for number in range(30)]


def written(directory: Path, examples: int = 10, **changes) -> Page:
    write_run_report(write_run(directory, **changes), examples)
    return read(directory / "report.html")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("page") / "run"
    write_run_report(write_run(directory), 10)
    return directory


@pytest.fixture(scope="module")
def page(run: Path) -> Page:
    return read(run / "report.html")


def test_it_says_what_was_run(page: Page):
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["End task"] == "classification on colours"
    assert (facts["Auxiliary"], facts["Weighting"], facts["Seed"]) == ("mlm", "meta", "3")
    assert facts["Versions"] == "tartan 0.1.0, torch 2.13.0"
    assert (facts["Time"], facts["Peak memory"]) == ("83.0 s, 0.500 s a step", "795.4 MiB")
    assert "Skipped" not in facts
    assert {"devhash", "taskhash"} <= set(page.cells())
    assert "seed: 3" in page.all("pre")[0].text


def test_it_says_which_split_was_used_for_what(page: Page):
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["test"] == "Read once, at the end. Nothing was chosen by it."
    assert "choose the best model" in facts["dev"]
    assert "gave the dev gradient" in facts["dev"]
    assert "dev gradient" not in facts["train"]


def test_it_says_of_steps_that_were_skipped_and_of_values_that_were_changed(tmp_path: Path):
    changes = [{"step": 20, "changed": ["optimizer.body_lr", "seed"]}]
    page = written(
        tmp_path / "run", skipped_steps=2, changes=changes, probe_split="dev, train",
        collapsed={"joint": 30},
    )  # fmt: skip
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["Skipped"].startswith("2 steps")
    assert facts["Collapsed in joint"].endswith("below a tenth of an equal share at step 30")
    assert facts["Changed at step 20"] == "optimizer.body_lr, seed"
    assert "A held-out part gave the dev gradient" in facts["train"]
    assert "It also gave the dev gradient" in facts["dev"]


def test_scores_stand_beside_each_other(page: Page):
    cells = page.cells()
    assert cells[:6] == ["Metric", "dev", "test", "macro_f1", "0.7512", "0.7001"]


def test_plots_are_drawn_in_the_page_and_told(page: Page):
    assert page.texts("figcaption") == [
        "Dev metrics", "Losses", "Weights", "Cosine with the dev gradient",
    ]  # fmt: skip
    told = [svg.attributes["aria-label"] for svg in page.all("svg")]
    assert told[1] == (
        "Losses over steps. classification: 0.100 at step 10, 0.025 at step 40; "
        "mlm: 5.000 at step 10, 4.000 at step 20"
    )
    assert all(svg.attributes["role"] == "img" for svg in page.all("svg"))
    assert "0.600 at step 20" in told[2], "a stage that weighs nothing has no weight to show"


def test_plots_have_the_colours_of_the_page(page: Page):
    drawn = page.content[page.content.index("<svg") : page.content.rindex("</svg>")]
    assert "currentColor" in drawn
    assert "var(--series-1)" in drawn
    assert "#101214" not in drawn


def test_plots_are_files_too(run: Path):
    names = {"dev", "losses", "weights", "alignment", "confusion"}
    left = {path.name for path in (run / "figures").iterdir()}
    assert left == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    for path in (run / "figures").glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
    for path in (run / "figures").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_the_same_run_has_the_same_page(run: Path):
    before = {path.name: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    write_run_report(run, 10)
    after = {path.name: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert before == after


def test_the_confusion_is_a_table(page: Page):
    cells = page.cells()
    start = cells.index("given \\ predicted")
    assert cells[start + 1 : start + 9] == [
        "cold", "warm", "cold", "1", "0", "warm", "2", "1",
    ]  # fmt: skip


def test_the_surest_mistakes_come_first_and_are_cut(page: Page):
    cells = page.cells()
    start = cells.index("probability")
    assert cells[start + 1] == "2"
    assert cells[start + 2].endswith("sun …")
    assert len(cells[start + 2]) <= 302
    assert cells[start + 3 : start + 7] == ["warm", "cold", "0.800", "1"]
    assert "snow" not in cells, "what is right is no mistake"


def test_no_more_examples_are_shown_than_are_asked_for(tmp_path: Path):
    assert "fire" not in written(tmp_path / "run", examples=1).cells()


def test_without_predictions_there_are_no_mistakes_to_show(tmp_path: Path):
    page = written(tmp_path / "run", predictions=[])
    assert "Mistakes on dev" not in page.texts("h2")
    assert not (tmp_path / "run/confusion.csv").exists()


def test_of_many_labels_the_commonest_confusions_are_listed(tmp_path: Path):
    lines = [prediction(n, "text", LABELS[n % 2], LABELS[1], 0.5) for n in range(6)]
    cells = written(tmp_path / "run", labels=LABELS, predictions=lines).cells()
    start = cells.index("times")
    assert cells[start + 1 : start + 4] == ["label0", "label1", "3"]
    rows = list(csv.reader((tmp_path / "run/confusion.csv").open()))
    assert len(rows) == 31
    assert rows[1][:3] == ["label0", "0", "3"]


def test_of_a_great_many_labels_the_table_lists_what_occurs(tmp_path: Path):
    """A matrix of 5,000 classes has 25 million cells."""
    labels = [f"label{number}" for number in range(5000)]
    lines = [prediction(n, "text", labels[4000 + n % 2], labels[4000], 0.5) for n in range(6)]
    cells = written(tmp_path / "run", labels=labels, predictions=lines).cells()
    start = cells.index("times")
    assert cells[start + 1 : start + 4] == ["label4001", "label4000", "3"]
    assert list(csv.reader((tmp_path / "run/confusion.csv").open())) == [
        ["given", "predicted", "count"],
        ["label4000", "label4000", "3"],
        ["label4001", "label4000", "3"],
    ]


def test_numbers_have_a_plot_and_their_widest_misses(tmp_path: Path):
    lines = [prediction(n, f"text{n}", float(n), 2.0, None) for n in range(4)]
    task = {"name": "stars", "kind": "numbers", "labels": ["score"]}
    page = written(tmp_path / "run", task=task, predictions=lines)
    assert page.texts("figcaption")[-1] == "Predicted over given"
    cells = page.cells()
    start = cells.index("off by")
    assert cells[start + 1 : start + 6] == ["0", "text0", "0", "2", "2.000"]
    assert not (tmp_path / "run/confusion.csv").exists()


def test_of_words_tags_are_confused_and_texts_listed(tmp_path: Path):
    lines = [
        {"row": 0, "words": ["in", "Rome"], "label": ["O", "LOC"], "predicted": ["O", "O"],
         "probability": [0.9, 0.8]},
        {"row": 1, "words": ["to", "Oslo", "Bergen"], "label": ["O", "LOC", "LOC"],
         "predicted": ["LOC", "LOC", "O"], "probability": [0.9, 0.8, 0.7]},
    ]  # fmt: skip
    task = {"name": "places", "kind": "tags", "labels": ["LOC", "O"]}
    cells = written(tmp_path / "run", task=task, predictions=lines).cells()
    start = cells.index("given \\ predicted")
    assert cells[start + 3 : start + 9] == ["LOC", "1", "2", "O", "1", "1"]
    start = cells.index("wrong words")
    assert cells[start + 1 : start + 6] == [
        "1", "to Oslo Bergen", "to: O, Bergen: LOC", "to: LOC, Bergen: O", "2",
    ]  # fmt: skip


def test_metrics_are_a_table(run: Path):
    header, first, *_, last = csv.reader((run / "metrics.csv").open())
    assert header[:3] == ["step", "stage", "train/loss/classification"]
    assert dict(zip(header, first, strict=True))["train/loss/mlm"] == "5.0"
    assert dict(zip(header, last, strict=True))["train/loss/mlm"] == ""


def test_a_page_has_what_readers_of_all_kinds_need(page: Page):
    assert page.all("html")[0].attributes["lang"] == "en"
    assert page.texts("title") == ["classification on colours, seed 3"]
    metas = [meta.attributes for meta in page.all("meta")]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in metas
    assert len(page.all("h1")) == 1
    assert len(page.all("main")) == 1
    regions = [e.attributes for e in page.elements if e.attributes.get("class") == "scroll"]
    assert len(regions) == len(page.all("table")) + 1
    assert all(r["role"] == "region" and r["aria-label"] and r["tabindex"] == "0" for r in regions)
    heads = [th for th in page.all("th") if "scope" not in th.attributes]
    assert heads == []
    check_self_contained(page)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of hostile names and texts, in a directory of a hostile name."""
    directory = tmp_path_factory.mktemp("page") / "<b>&amp;"
    lines = [prediction(n, text, text, HOSTILE[0], 0.5) for n, text in enumerate(HOSTILE)]
    task = {"name": HOSTILE[1], "kind": "classes", "labels": HOSTILE}
    write_run(directory, names=list(HOSTILE), labels=HOSTILE, predictions=lines, task=task)
    write_run_report(directory, 10)
    return directory


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_others_are_shown(hostile: Path, text: str):
    shown = " ".join(visible(text).split())
    page, markdown = read(hostile / "report.html"), rendered(hostile / "report.md")
    for found in (page, markdown):
        assert found.cells().count(shown) >= 3
        assert found.texts("h1") == [f"classification on {HOSTILE[1]}"]
    told = [svg.attributes.get("aria-label", "") for svg in page.all("svg")]
    assert any(f"{visible(text)}: 5.000" in label for label in told)


def test_texts_of_others_are_never_acted_on(hostile: Path):
    check_self_contained(read(hostile / "report.html"))
    markdown = rendered(hostile / "report.md")
    assert {element.tag for element in markdown.elements} <= {
        "h1", "h2", "h3", "p", "strong", "img", "ul", "li",
        "table", "thead", "tbody", "tr", "th", "td",
    }  # fmt: skip
    assert all(i.attributes["src"].startswith("figures/") for i in markdown.all("img"))
    for path in (hostile / "figures").glob("*.svg"):
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.parse(path).iter()}
        assert not tags & {"script", "b", "i", "img"}


def test_a_page_needs_a_run_that_can_be_read(tmp_path: Path):
    write_run(tmp_path / "run")
    (tmp_path / "run/metrics.jsonl").write_text("{")
    with pytest.raises(CheckpointError, match=r"metrics.jsonl cannot be read"):
        write_run_report(tmp_path / "run", 10)
    assert not (tmp_path / "run/report.html").exists()
