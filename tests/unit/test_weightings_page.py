"""docs/weightings.md is what `python -m tartan list --markdown` prints."""

from pathlib import Path

from tartan.cli.catalogue import weighting
from tartan.cli.list import markdown
from tartan.plugins import discover

PAGE = Path(__file__).parents[2] / "docs" / "weightings.md"


def test_the_page_of_weightings_is_up_to_date():
    ours = [p for p in discover().weightings.values() if p.distribution.startswith("tartan ")]
    written = PAGE.read_text(encoding="utf-8")
    assert written == markdown(map(weighting, ours)), "python -m tartan list --markdown > PAGE"


def test_every_weighting_says_when_to_use_it_and_where_it_comes_from():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| `")]
    assert len(rows) >= 30
    assert all(row[1] and row[-1].removesuffix(" |") for row in rows)
