"""A study's page shows its tables, differences, curves and weights; Markdown says the same."""

import csv
from pathlib import Path

import pytest

from support.pages import HOSTILE, Page, check_self_contained, read, rendered
from support.studies import made_up
from tartan.report.curves import Curve
from tartan.report.text import visible
from tartan.study.page import write_study_report, write_tables
from tartan.study.plots import mean_curve
from tartan.study.results import SplitUse


def written(directory: Path, **changes) -> tuple[Page, Page]:
    """A study's page, and its Markdown."""
    directory.mkdir(exist_ok=True)
    write_study_report(made_up(**changes), directory)
    return read(directory / "study.html"), rendered(directory / "study.md")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("page")
    (directory / "finetune/seed0").mkdir(parents=True)
    (directory / "finetune/seed0/report.html").touch()
    written(directory)
    return directory


@pytest.fixture(scope="module")
def page(study: Path) -> Page:
    return read(study / "study.html")


def first(page: Page) -> str:
    """The first paragraph."""
    return page.texts("p")[0]


def test_what_was_found_stands_first(study: Path, page: Page):
    found = "META-TARTAN is above Fine-tuning, with a corrected p below 0.05."
    assert found in first(page)
    assert found in first(rendered(study / "study.md"))
    assert "Too few seeds." in page.texts("li")


def test_the_seeds_are_counted_and_listed(study: Path, page: Page):
    for found in (page, rendered(study / "study.md")):
        assert first(found).startswith("3 seeds each, paired: 0, 1, 2.")


def test_common_overrides_are_not_said_to_be_those_of_all_arms(study: Path, page: Page):
    label = "common, where an arm has the option and does not set it itself"
    assert label in page.texts("dt")
    assert f"{label}: steps=6" in rendered(study / "study.md").texts("li")


def test_where_nothing_was_found_it_says_so(tmp_path: Path):
    for page in written(tmp_path, level=0.001):
        assert "No arm is above another, with a corrected p below 0.001." in first(page)


def test_of_one_arm_nothing_is_paired_or_above(tmp_path: Path):
    for page in written(tmp_path, pairs=(), seeds=(0,)):
        assert first(page).split() == ["1", "seed:", "0."]


def test_a_streamed_corpus_has_no_number_of_rows(tmp_path: Path):
    page, markdown = written(tmp_path, splits=(SplitUse("domain", None, "text without labels"),))
    assert "domain (streamed)" in page.texts("dt")
    assert "domain (streamed): text without labels" in markdown.texts("li")


def test_arms_pairs_and_runs_are_tables(study: Path, page: Page):
    for found in (page, rendered(study / "study.md")):
        cells = found.cells()
        start = cells.index("Fine-tuning")
        assert cells[start : start + 8] == [
            "Fine-tuning", "0.4200 ± 0.0200", "[0.4000, 0.4400]", "0.4200 ± 0.0200", "3", "0",
            "0.420", "476.8 MiB",
        ]  # fmt: skip
        start = cells.index("META-TARTAN - Fine-tuning")
        assert cells[start + 1 : start + 7] == [
            "+0.5100", "[+0.5000, +0.5200]", "+51.00", "2", "0.0100", "0.0200*",
        ]  # fmt: skip
        assert cells[cells.index("mlm") + 1 :][:3] == [
            "META-TARTAN", "0.700", "0.300",
        ]  # fmt: skip
        start = cells.index("meta/seed2")
        assert cells[start + 1 : start + 4] == ["failed", "-", "-"]


def test_tables_are_csv_too(tmp_path: Path):
    write_tables(made_up(), tmp_path)
    with (tmp_path / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["finished"] * 5 + ["failed"]
    assert rows[3]["weight_mlm"] == "0.3"
    assert (rows[0]["weight_mlm"], rows[5]["test_macro_f1"]) == ("", "")
    assert rows[5]["error"] == "cannot <b>go</b> on"


def test_plots_are_in_the_page_and_files(page: Page, study: Path):
    assert page.texts("figcaption") == [
        "macro_f1 on test", "Paired differences of macro_f1 on test",
        "Dev over rows of the end task", "Dev over time", "Weights at the end",
    ]  # fmt: skip
    told = [svg.attributes["aria-label"] for svg in page.all("svg")]
    assert told[1].endswith("META-TARTAN - Fine-tuning: +0.5100, from +0.5000 to +0.5200")
    assert "META-TARTAN: mlm: mean 0.295" in told[4]
    names = {"scores", "differences", "dev-over-rows", "dev-over-seconds", "weights"}
    left = {path.name for path in (study / "figures").iterdir()}
    assert left == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    shown = [image.attributes for image in rendered(study / "study.md").all("img")]
    assert {image["src"] for image in shown} == {f"figures/{name}.png" for name in names}
    assert {image["alt"] for image in shown} == set(told)


def test_a_run_that_has_a_page_is_linked(page: Page):
    links = [link.attributes["href"] for link in page.all("a")]
    assert links == ["finetune/seed0/report.html"]


def test_it_is_self_contained(page: Page):
    check_self_contained(page)


def test_names_of_others_are_shown_and_never_acted_on(tmp_path: Path):
    pages = written(tmp_path, labels=HOSTILE[:2], notes=HOSTILE, budget=HOSTILE, common=HOSTILE)
    check_self_contained(pages[0])
    shown = [" ".join(visible(text).split()) for text in HOSTILE]
    for page in pages:
        assert page.texts("li")[: len(shown)] == shown
        assert set(shown[:2]) <= set(page.cells())
        assert " ".join(shown) in page.texts("code")
    assert not {"script", "i", "b"} & {element.tag for element in pages[1].elements}


def test_a_study_without_finished_runs_has_a_page(tmp_path: Path):
    for page in written(tmp_path, runs=(), pairs=()):
        assert page.all("svg") + page.all("img") == []
        assert "Paired differences" not in page.texts("h2")


def test_the_mean_of_curves_begins_with_the_last_and_ends_level():
    one, other = Curve((0.0, 2.0, 4.0), (0.0, 2.0, 4.0)), Curve((1.0, 3.0), (3.0, 5.0))
    curve, (low, high) = mean_curve([one, other])
    assert curve == Curve((1.0, 2.0, 3.0, 4.0), (2.0, 3.0, 4.0, 4.5))
    assert low == pytest.approx([2 - 2**0.5, 3 - 2**0.5, 4 - 2**0.5, 4.5 - 0.5**0.5])
    assert high == pytest.approx([2 + 2**0.5, 3 + 2**0.5, 4 + 2**0.5, 4.5 + 0.5**0.5])


def test_the_mean_of_one_curve_is_the_curve():
    one = Curve((0.0, 2.0), (0.0, 2.0))
    assert mean_curve([one]) == (one, ([0.0, 2.0], [0.0, 2.0]))


def test_a_curve_that_ends_before_another_begins_counts_there():
    found = mean_curve([Curve((0.0, 1.0), (0.0, 1.0)), Curve((2.0,), (0.0,))])
    assert found is not None
    assert found[0] == Curve((2.0,), (0.5,))
    assert mean_curve([]) is None
