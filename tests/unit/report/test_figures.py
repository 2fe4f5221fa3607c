"""What a plot shows of its names and counts."""

from matplotlib.colors import to_hex

from tartan.report.figures import dots, intervals, matrix
from tartan.report.plot import INK, Plot

PAIRS = {
    f"META, lr by measurements - {other}": (0.1, 0.0, 0.2)
    for other in ("end task alone", "TAPT, one stage first")
}


def names(plot: Plot) -> list[str]:
    """The names of its rows, on one line each."""
    labels = plot.drawn.axes[0].get_yticklabels()
    return [label.get_text().replace("\n", " ") for label in labels]


def test_rows_that_differ_at_their_end_have_whole_names():
    for drawn in (intervals(PAIRS, "difference"), dots(PAIRS, "weight")):
        assert names(Plot("rows", "rows", drawn, "")) == list(PAIRS)


def test_a_word_that_is_longer_than_a_line_is_folded():
    name = "a" * 100
    (shown,) = names(Plot("rows", "rows", dots({name: [0.5]}, "weight"), ""))
    assert shown.replace(" ", "") == name


def test_counts_keep_their_colour_on_a_dark_page():
    """Cells stay as light as they are: text on them must not turn light with the page's."""
    drawn = Plot("confusion", "", matrix([[9, 1], [0, 5]], ["cold", "warm"], "x", "y"), "")
    texts = {found.get_text(): to_hex(found.get_color()) for found in drawn.drawn.axes[0].texts}
    assert texts == {"9": "#ffffff", "1": "#000000", "0": "#000000", "5": "#ffffff"}
    assert INK not in texts.values()
