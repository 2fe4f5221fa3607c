"""docs/objectives.md is what `python -m tools.gallery` prints."""

from pathlib import Path

from tools.gallery import page

PAGE = Path(__file__).parents[2] / "docs" / "objectives.md"


def test_the_gallery_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tools.gallery > PAGE"


def test_everything_in_it_says_what_it_is():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
    assert len(rows) >= 35
    assert all(len(row[1]) > 10 for row in rows)
