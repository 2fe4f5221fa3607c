"""`python -m tartan compare RUN RUN ...`: finished runs side by side."""

import sys
from collections.abc import Sequence
from pathlib import Path

HELP = """\
usage: python -m tartan compare RUN RUN ... [out=comparison.html]

Prints the scores of finished runs and the options in which they differ, and counts the dev
rows that only one run has right. Writes the same as a page, which is never overwritten.

  python -m tartan compare outputs/2026-01-31/12-00-00 outputs/2026-01-31/13-00-00
  python -m tartan compare multirun/2026-01-31/14-00-00/*/ out=sweep.html
"""


def main(arguments: Sequence[str]) -> int:
    """Compare runs. TartanError where one is not complete, or the page is there already."""
    if {"-h", "--help"} & set(arguments):
        print(HELP, end="")
        return 0
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - `--help` needs little
    from rich.console import Console  # noqa: PLC0415

    from tartan.cli.arguments import read  # noqa: PLC0415
    from tartan.inference.comparison import CompareOptions, compare_runs  # noqa: PLC0415
    from tartan.report.terminal import terminal_table  # noqa: PLC0415

    names, options = read(arguments, CompareOptions, ("RUN", "RUN"), more=True)
    found = compare_runs(list(map(Path, names)), options)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    for table in (found.scores, found.options, found.pairs):
        if table.rows:
            look = {"title": table.title, "title_justify": "left", "box": SIMPLE_HEAD}
            console.print(terminal_table(table.header, table.rows, **look))
    print("\n".join(found.notes))
    print(f"page: {options.out}")
    return 0
