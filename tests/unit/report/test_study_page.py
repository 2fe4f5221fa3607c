"""A study's page shows its table, differences, curves and weights, all from study.json."""

from pathlib import Path

import pytest

from support.pages import HOSTILE, Page, check_self_contained, read, write_study
from tartan.report.curves import Curve
from tartan.report.study_page import mean_curve, write_study_report
from tartan.report.text import visible


def written(directory: Path, **changes) -> Page:
    write_study_report(write_study(directory, **changes))
    return read(directory / "study.html")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("page") / "study"
    write_study(directory)
    (directory / "finetune/seed0").mkdir(parents=True)
    (directory / "finetune/seed0/report.html").touch()
    write_study_report(directory)
    return directory


@pytest.fixture(scope="module")
def page(study: Path) -> Page:
    return read(study / "study.html")


def test_what_was_found_stands_first(page: Page):
    lede = next(e.text for e in page.elements if e.attributes.get("class") == "lede")
    assert "META-TARTAN is above Fine-tuning, with a corrected p below 0.05." in " ".join(
        lede.split()
    )
    assert "Too few seeds." in page.texts("li")


def test_where_nothing_was_found_it_says_so(tmp_path: Path):
    page = written(tmp_path / "study", level=0.001)
    lede = next(e.text for e in page.elements if e.attributes.get("class") == "lede")
    assert "No arm is above another, with a corrected p below 0.001." in " ".join(lede.split())


def test_arms_pairs_and_runs_are_tables(page: Page):
    cells = page.cells()
    start = cells.index("Fine-tuning")
    assert cells[start : start + 8] == [
        "Fine-tuning", "0.4200 ± 0.0200", "[0.4000, 0.4400]", "0.4200 ± 0.0200", "3", "0", "0.420",
        "500 MB",
    ]  # fmt: skip
    start = cells.index("META-TARTAN - Fine-tuning")
    assert cells[start + 1 : start + 7] == [
        "+0.5100", "[+0.5000, +0.5200]", "2", "0.0100", "0.0200", "0.0100",
    ]  # fmt: skip
    start = cells.index("meta/seed2")
    assert cells[start + 1 : start + 4] == ["failed: cannot <b>go</b> on", "-", "-"]


def test_plots_are_in_the_page_and_files(page: Page, study: Path):
    assert page.texts("figcaption") == [
        "macro_f1 on test", "Paired differences of macro_f1 on test",
        "Dev over rows of the end task", "Dev over time", "Weights at the end",
    ]  # fmt: skip
    told = [svg.attributes["aria-label"] for svg in page.all("svg")]
    assert told[1].endswith("META-TARTAN - Fine-tuning: +0.5100, from +0.5000 to +0.5200")
    assert "META-TARTAN: mlm: mean 0.295" in told[4]
    names = {"scores", "differences", "dev-over-primary_examples", "dev-over-seconds", "weights"}
    left = {path.name for path in (study / "figures").iterdir()}
    assert left == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}


def test_a_run_that_has_a_page_is_linked(page: Page):
    links = [link.attributes["href"] for link in page.all("a")]
    assert links == ["finetune/seed0/report.html"]


def test_it_is_self_contained(page: Page):
    check_self_contained(page)


def test_names_of_others_are_shown_and_never_acted_on(tmp_path: Path):
    page = written(tmp_path / "study", labels=HOSTILE[:2], notes=HOSTILE, budget=HOSTILE)
    check_self_contained(page)
    shown = [" ".join(visible(text).split()) for text in HOSTILE]
    assert page.texts("li") == [*shown, *shown]
    assert set(shown[:2]) <= set(page.cells())


def test_a_study_without_finished_runs_has_a_page(tmp_path: Path):
    page = written(tmp_path / "study", runs=[], pairs=[])
    assert page.all("svg") == []
    assert "Paired differences" not in page.texts("h2")


def test_the_mean_of_curves_goes_where_all_go():
    one, other = Curve((0.0, 2.0, 4.0), (0.0, 2.0, 4.0)), Curve((1.0, 3.0), (3.0, 5.0))
    curve, (low, high) = mean_curve([one, other])
    assert curve == Curve((1.0, 2.0, 3.0), (2.0, 3.0, 4.0))
    assert low == pytest.approx([2 - 2**0.5, 3 - 2**0.5, 4 - 2**0.5])
    assert high == pytest.approx([2 + 2**0.5, 3 + 2**0.5, 4 + 2**0.5])


def test_the_mean_of_one_curve_is_the_curve():
    one = Curve((0.0, 2.0), (0.0, 2.0))
    assert mean_curve([one]) == (one, ([0.0, 2.0], [0.0, 2.0]))
