"""`python -m tartan predict RUN TEXTS OUT`: predictions for a file of texts."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tartan.cli.arguments import read
from tartan.inference.predict import PredictOptions, predict_file
from tartan.sizes import counted


def main(arguments: Sequence[str]) -> int:
    """Predict a file. TartanError where the run, the file or an option cannot be used."""
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
