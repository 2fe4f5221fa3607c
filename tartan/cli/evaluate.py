"""`python -m tartan evaluate RUN DATA`: score a finished run on labelled data."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tartan.cli.arguments import read
from tartan.inference.evaluation import PAGE, EvaluateOptions, evaluate_file, lines
from tartan.plugins import discover


def main(arguments: Sequence[str]) -> int:
    """Evaluate a run. TartanError where the run, the file or an option cannot be used."""
    (run, path), options = read(arguments, EvaluateOptions, ("RUN", "DATA"))
    found, out = evaluate_file(Path(run), Path(path), options, discover())
    for notice in found.notices:
        print(f"tartan: {notice}", file=sys.stderr)
    print("\n".join(lines(found)))
    print(f"in {out}: {PAGE}")
    return 0
