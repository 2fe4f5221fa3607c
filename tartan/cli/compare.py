"""`python -m tartan compare RUN RUN ...`: finished runs side by side."""

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD

from tartan.cli.arguments import read
from tartan.inference.comparison import CompareOptions, compare_runs
from tartan.report.terminal import show


def main(arguments: Sequence[str]) -> int:
    """Compare runs. TartanError where one is not complete, or the page is there already."""
    names, options = read(arguments, CompareOptions, ("RUN", "RUN"), more=True)
    found = compare_runs(list(map(Path, names)), options)
    for table in (found.scores, found.options, found.pairs):
        if table.rows:
            show(table.rich(title_justify="left", box=SIMPLE_HEAD))
    print("\n".join(found.notes))
    print(f"page: {options.out}")
    return 0
