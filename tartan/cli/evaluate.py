"""`python -m tartan evaluate RUN DATA`: score a finished run on labelled data."""

import sys
from collections.abc import Sequence
from pathlib import Path

HELP = """\
usage: python -m tartan evaluate RUN DATA [option=value ...]

Computes the metrics of a finished run on a file of labelled rows, as the run itself does on dev and
test, with 95% bootstrap intervals, the confusion of labels and the calibration. Prints them, and
writes evaluation.html, evaluation.json, confusion.csv and figures/ to RUN/evaluations/<DATA>/. What
is there already is never overwritten.

  python -m tartan evaluate outputs/2026-01-31/12-00-00 new_labels.csv
  python -m tartan evaluate RUN data.jsonl data.text=body data.label=topic out=june

DATA is a CSV, TSV, JSON, JSON lines, Parquet or Arrow file, plain or compressed.

options:
  data.text=COLUMN, data.pair=COLUMN, data.label=COLUMN    columns without a usual name
  data.tokens=COLUMN, data.tags=COLUMN                     where words are tagged
  out=DIRECTORY      what is written instead of RUN/evaluations/<DATA>
  resamples=1000     samples that the intervals are computed from
  batch_size=64      rows that the model reads at once
  device=auto        the accelerator if there is one, or a torch device
"""


def main(arguments: Sequence[str]) -> int:
    """Evaluate a run. TartanError where the run, the file or an option cannot be used."""
    if {"-h", "--help"} & set(arguments):
        print(HELP, end="")
        return 0
    from tartan.cli.arguments import read  # noqa: PLC0415 - `--help` needs no torch
    from tartan.inference.evaluation import (  # noqa: PLC0415
        PAGE,
        EvaluateOptions,
        evaluate_file,
        lines,
    )
    from tartan.plugins import discover  # noqa: PLC0415

    (run, path), options = read(arguments, EvaluateOptions, ("RUN", "DATA"))
    found, out = evaluate_file(Path(run), Path(path), options, discover())
    for notice in found.notices:
        print(f"tartan: {notice}", file=sys.stderr)
    print("\n".join(lines(found)))
    print(f"in {out}: {PAGE}")
    return 0
