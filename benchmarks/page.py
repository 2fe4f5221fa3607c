"""`python -m benchmarks.page`: write the tables and the figure of docs/performance.md.

Between `<!-- KIND results/NAME.json -->`, a kind of `PAGES`, and `<!-- end -->` stands what the
file, named from this folder, gives, or that it is not there yet; everything else is left as it is.
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
PAGE = HERE.parent / "docs" / "performance.md"
FIGURE = PAGE.parent / "performance-scale.svg"
_SHOWN = f"![Seconds a step as one thing grows and the rest stays]({FIGURE.name})"
PAGES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "step": page,
    "scale": lambda report: f"{_SHOWN}\n\n{scale_page(report)}",
    "parts": parts_page,
}
"""What writes the text of a kind of report."""
_PART = re.compile(r"(<!-- (step|scale|parts) (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, or see whether it is as it should be; exit status 2 if not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 2 if it would change")
    options = parser.parse_args(arguments)
    try:
        text = PAGE.read_text(encoding="utf-8")
        filled = fill(text)
        if options.check and filled != text:
            raise DataError(f"{PAGE.name} is not what the results give: python -m benchmarks.page")
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
    """A page with every part between markers written anew. DataError if a file cannot be read."""

    def part(found: re.Match[str]) -> str:
        opening, kind, file, end = found.groups()
        report = load(file)
        written = "Not measured yet." if report is None else PAGES[kind](report)
        return f"{opening}\n{written}\n\n{end}"

    return _PART.sub(part, text)


def scales(text: str) -> list[str]:
    """The files of scale that a page names; the figure is drawn from the last."""
    return [file for _, kind, file, _ in _PART.findall(text) if kind == "scale"]


def load(file: str) -> dict[str, Any] | None:
    """A report, by its place in this folder; None if it is not there.

    Raises:
        DataError: it is there, and cannot be read.
    """
    place = HERE / file
    if not place.exists():
        return None
    try:
        found: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"benchmarks/{file} cannot be read ({error}): measure it anew") from error
    return found


if __name__ == "__main__":
    sys.exit(main())
