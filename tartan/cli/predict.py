"""`python -m tartan predict RUN TEXTS OUT`: predictions for a file of texts."""

import sys
from collections.abc import Sequence
from pathlib import Path

HELP = """\
usage: python -m tartan predict RUN TEXTS OUT [option=value ...]     (or out=OUT)

Predicts every row of TEXTS with the model of a finished run, and writes the rows to OUT with the
prediction and all probabilities. OUT is never overwritten.

  python -m tartan predict outputs/2026-01-31/12-00-00 texts.csv predictions.csv
  python -m tartan predict RUN texts.parquet predictions.jsonl data.text=body batch_size=256

RUN is a run's directory, or that of a model. TEXTS is a CSV, TSV, JSON, JSON lines, Parquet, Arrow
or text file, plain or compressed; OUT is .csv, .tsv or .jsonl. The cells of a .csv file are
separated as those of a .csv file TEXTS.

options:
  data.text=COLUMN   the column of the text, if it has none of the usual names
  data.pair=COLUMN   the column of the second text of a pair
  data.tokens=COLUMN where words are tagged, the column of the list of words
  batch_size=64      rows that the model reads at once
  device=auto        the accelerator if there is one, or a torch device
"""


def main(arguments: Sequence[str]) -> int:
    """Predict a file. TartanError where the run, the file or an option cannot be used."""
    if {"-h", "--help"} & set(arguments):
        print(HELP, end="")
        return 0
    from tartan.cli.arguments import read  # noqa: PLC0415 - `--help` needs no torch
    from tartan.inference.predict import PredictOptions, predict_file  # noqa: PLC0415
    from tartan.sizes import counted  # noqa: PLC0415

    last = [argument for argument in arguments if argument.startswith("out=")]
    rest = [argument for argument in arguments if argument not in last]
    rest += [argument.removeprefix("out=") for argument in last]
    (run, source, target), options = read(rest, PredictOptions, ("RUN", "TEXTS", "OUT"))
    done = predict_file(Path(run), Path(source), Path(target), options)
    for notice in done.notices:
        print(f"tartan: {notice}", file=sys.stderr)
    columns = ", ".join(f"{role} from '{column}'" for role, column in done.columns.items())
    print(f"{counted(done.rows, 'row')} predicted ({columns}): {target}")
    return 0
