"""Pages in a real browser: they fit, can be read in both colour schemes, and fetch nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.browser import Browser, browser, installed
from support.pages import HOSTILE, prediction, write_run
from support.studies import made_up
from tartan.report.run_page import write_run_report
from tartan.study.page import write_study_report

PROGRAM = installed()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")

CONTRASTS = """
(() => {
  const light = c => {
    const [r, g, b] = c.map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const parts = text => {
    const found = text.match(/[\\d.]+/g).map(Number);
    return found.length < 4 ? [...found, 1] : found;
  };
  const over = (top, base) => base.map((v, i) => top[i] * top[3] + v * (1 - top[3]));
  const behind = element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement)
      layers.push(parts(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((base, top) => over(top, base), [255, 255, 255]);
  };
  const seen = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim()) continue;
    if (element.closest('style, details:not([open]) pre')) continue;
    const style = getComputedStyle(element), base = behind(element);
    const ink = parts(element.closest('svg') ? style.fill : style.color);
    const [low, high] = [light(over(ink, base)), light(base)].sort((a, b) => a - b);
    seen.push([(high + .05) / (low + .05), walker.currentNode.data.trim().slice(0, 30)]);
  }
  return seen.sort((a, b) => a[0] - b[0]);
})()
"""
"""Every text of a page with its contrast to what is behind it, the lowest first (WCAG 2.2)."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run's page, a study's, and one of hostile names and long ones."""
    place = tmp_path_factory.mktemp("pages")
    write_run_report(write_run(place / "run"), 10)
    write_study_report(made_up(), place)
    labels = [*HOSTILE, "a label of many words " * 5, "x" * 200]
    lines = [
        prediction(n, f"{label} " * 9, label, labels[0], 0.5) for n, label in enumerate(labels)
    ]
    write_run_report(
        write_run(place / "hostile", labels=labels, predictions=lines, names=["y" * 90]), 10
    )
    return {
        "run": place / "run/report.html",
        "study": place / "study.html",
        "hostile": place / "hostile/report.html",
    }


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert PROGRAM
    with browser(PROGRAM, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("name", ["run", "study", "hostile"])
def test_a_page_fits_and_can_be_read(
    chromium: Browser, pages: dict[str, Path], name: str, width: int, scheme: str
):
    chromium.open(pages[name], width, scheme)
    assert chromium.complaints() == []
    assert chromium.requests() == [pages[name].as_uri()]
    assert chromium.evaluate("innerWidth") == width
    assert chromium.evaluate("document.documentElement.scrollWidth") <= width
    paper = chromium.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(13, 17, 23)")
    seen = chromium.evaluate(CONTRASTS)
    assert len(seen) > 50
    assert seen[0][0] >= 4.5, seen[:5]


def test_what_is_too_wide_scrolls_within_itself(chromium: Browser, pages: dict[str, Path]):
    chromium.open(pages["hostile"], 360, "light")
    wide = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)"
    assert chromium.evaluate(f"{wide}.length") >= 2


def test_nothing_that_is_shown_is_executed(chromium: Browser, pages: dict[str, Path]):
    chromium.open(pages["hostile"], 1200, "light")
    assert chromium.evaluate("document.scripts.length") == 0
    assert chromium.evaluate("document.querySelectorAll('img, iframe').length") == 0
