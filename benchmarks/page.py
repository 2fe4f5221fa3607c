"""`python -m benchmarks.page`: write the tables and the figure of benchmarks/results/README.md.

Text between `<!-- KIND results/NAME.json -->`, with a kind of `PAGES`, and `<!-- end -->` is
replaced by the tables of that file, named from this folder. Other text stays as it is.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figure import draw
from benchmarks.tables import page, parts_page, scale_page
from tartan.errors import DataError, TartanError

HERE = Path(__file__).parent
PAGE = HERE / "results" / "README.md"
FIGURE = PAGE.parent / "scale.svg"
_SHOWN = f"![Seconds a step as one thing grows and the rest stays]({FIGURE.name})"
PAGES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "step": page,
    "scale": lambda report: f"{_SHOWN}\n\n{scale_page(report)}",
    "parts": parts_page,
}
"""The function that writes the text of each kind of report."""
_PART = re.compile(r"(<!-- (step|scale|parts) (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, or check that it is up to date; exit status 2 if it is not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 2 if the page would change"
    )
    options = parser.parse_args(arguments)
    try:
        text = PAGE.read_text(encoding="utf-8")
        filled = fill(text)
        if options.check and filled != text:
            raise DataError(f"{PAGE.name} is out of date: run python -m benchmarks.page")
        if not options.check:
            PAGE.write_text(filled, encoding="utf-8")
            for report in map(load, scales(text)):
                if report is not None:
                    draw(report, FIGURE)
    except TartanError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    return 0


def fill(text: str) -> str:
    """Return a page with every part between markers written again.

    Raises:
        DataError: a file of measurements cannot be read.
    """

    def part(found: re.Match[str]) -> str:
        opening, kind, file, end = found.groups()
        report = load(file)
        written = "Not measured yet." if report is None else PAGES[kind](report)
        return f"{opening}\n{written}\n\n{end}"

    return _PART.sub(part, text)


def scales(text: str) -> list[str]:
    """Return the files of scale that a page names; the figure is drawn from the last."""
    return [file for _, kind, file, _ in _PART.findall(text) if kind == "scale"]


def load(file: str) -> dict[str, Any] | None:
    """Return a report, named from this folder, or None if there is no such file.

    Raises:
        DataError: the file exists and cannot be read.
    """
    place = HERE / file
    if not place.exists():
        return None
    try:
        found: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"benchmarks/{file} cannot be read ({error}): measure it again") from error
    return found


if __name__ == "__main__":
    sys.exit(main())
