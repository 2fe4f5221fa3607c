"""Evaluate a finished run on labelled data: metrics with intervals, confusion, calibration."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from tartan.batch import LabelKind
from tartan.checks import check_ranges
from tartan.data.formats import stem
from tartan.data.labelled_files import quoted_names
from tartan.errors import StorageError
from tartan.experiment.directories import existing
from tartan.files import check_writable, write_whole, writing
from tartan.inference.bootstrap import Interval, intervals
from tartan.inference.calibration import Calibration, calibrate
from tartan.inference.scored import FinishedRun, Scored, score_file
from tartan.plugins import Plugins
from tartan.report.curves import Curve
from tartan.report.figures import matrix, reliability, scatter
from tartan.report.mistakes import GIVEN, Confusion, confusion
from tartan.report.pages import write_csv, write_page
from tartan.report.plot import Plot, save
from tartan.report.record import write_json
from tartan.report.run_page import SHOWN
from tartan.sizes import counted

PAGE, RESULTS = "evaluation.html", "evaluation.json"
"""The page of an evaluation, and the same as JSON."""


@dataclass
class LabelledColumns:
    """Columns of a file of labelled rows; None to look for a usual name.

    Attributes:
        text: the column of the text.
        pair: the column of the second text of a pair.
        label: the column of the label.
        tokens: where words are tagged, the column of the words.
        tags: where words are tagged, the column of the tags.
    """

    text: str | None = None
    pair: str | None = None
    label: str | None = None
    tokens: str | None = None
    tags: str | None = None


@dataclass
class EvaluateOptions:
    """How a run is evaluated.

    Attributes:
        data: columns of the file.
        out: the directory that is written; None for `<run>/evaluations/<file>`.
        resamples: samples of rows that the intervals are computed from.
        batch_size: rows that the model reads at once.
        device: `auto`, or a torch device.
    """

    data: LabelledColumns = field(default_factory=LabelledColumns)
    out: str | None = None
    resamples: int = 1000
    batch_size: int = 64
    device: str = "auto"

    def __post_init__(self) -> None:
        """ConfigError where a number has no meaning."""
        check_ranges("", self, resamples="[1, inf)", batch_size="[1, inf)")


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation.

    Attributes:
        run: the run's directory.
        data: the file.
        rows: how many there are.
        columns: the column of each role that was read; a list where each label has one of its own.
        metrics: by name, with their intervals.
        labels: the names of classes or tags.
        confusion: how often each label is predicted for each given one; None for numbers and sets.
            In evaluation.json also null for more than 200 labels, which only confusion.csv has.
        calibration: of the predicted label; None for numbers.
        notices: what the user should know, a line each.
    """

    run: str
    data: str
    rows: int
    columns: Mapping[str, str | list[str]]
    metrics: Mapping[str, Interval]
    labels: Sequence[str]
    confusion: Confusion | None
    calibration: Calibration | None
    notices: Sequence[str]


def evaluate_file(
    run: Path, path: Path, options: EvaluateOptions, plugins: Plugins
) -> tuple[Evaluation, Path]:
    """Evaluate a run on a file, and write the results.

    Args:
        run: the directory of a complete run.
        path: a file of labelled rows, of any format that `data=files` reads.
        options: columns, directory, resamples, batch size, device.
        plugins: the installed plugins.

    Returns:
        The results, and the directory they were written to.

    Raises:
        TartanError: the run, the file or a row cannot be used, or the directory is there already,
            would be in a file, or cannot be written.
    """
    finished = FinishedRun.read(run)
    out = Path(options.out) if options.out else run / "evaluations" / _name(path)
    existing([("out", str(out))])
    _check_new(out)
    check_writable(out)
    columns = {k: v for k, v in vars(options.data).items() if v is not None}
    scored = score_file(finished, path, columns, plugins, options.batch_size, options.device)
    found = summarise(finished, path, scored, options.resamples)
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    _check_new(out)  # another program may have made it by now
    write_whole(out, lambda directory: write(found, scored, finished.kind, directory))
    return found, out


def _check_new(out: Path) -> None:
    """StorageError if something has the name already."""
    if os.path.lexists(out):
        raise StorageError(f"{out} is there already and is not overwritten: give out=DIRECTORY")


def _name(path: Path) -> str:
    """Return a file's name without the ends of format and compression, and without a first dot."""
    return stem(path).lstrip(".") or path.name


def summarise(run: FinishedRun, path: Path, scored: Scored, resamples: int) -> Evaluation:
    """Return the results of scored rows."""
    labelled = bool(scored.predicted) and run.kind is not LabelKind.NUMBER
    single = labelled and run.kind is not LabelKind.SETS
    return Evaluation(
        str(run.directory),
        str(path),
        len(scored.rows),
        dict(scored.columns),
        intervals(scored.score, len(scored.rows), resamples),
        run.labels,
        confusion(scored.predicted, run.labels) if single else None,
        calibration(scored, run.kind) if labelled else None,
        list(scored.notices),
    )


def calibration(scored: Scored, kind: LabelKind) -> Calibration:
    """Return the calibration of the predicted labels, of every word where words are tagged.

    Where a row has several labels, it is that of each label's probability: right is a label that
    the row has.
    """
    if kind is LabelKind.SETS:
        pairs = [
            (share, label in line["label"])
            for line in scored.predicted
            for label, share in line["probabilities"].items()
        ]
        return calibrate([share for share, _ in pairs], [right for _, right in pairs])
    columns = {
        name: list(chain.from_iterable(_listed(line[name]) for line in scored.predicted))
        for name in ("label", "predicted", "probability")
    }
    right = [a == b for a, b in zip(columns["label"], columns["predicted"], strict=True)]
    return calibrate(columns["probability"], right)


def write(found: Evaluation, scored: Scored, kind: LabelKind, directory: Path) -> None:
    """Write evaluation.json, confusion.csv, figures/ and evaluation.html into a directory."""
    write_json(directory / RESULTS, plain(found))
    if errors := found.confusion:
        write_csv(directory / "confusion.csv", errors.records())
    drawn = plots(found, scored)
    save(drawn, directory / "figures")
    context = {
        "found": found,
        "plots": drawn,
        "words": kind is LabelKind.TAGS,
        "errors": found.confusion if found.confusion and len(found.labels) <= SHOWN else None,
        "most": found.confusion.most(10) if found.confusion else [],
        "given": GIVEN,
    }
    write_page(directory / PAGE, "evaluation.html", context)


def plots(found: Evaluation, scored: Scored) -> list[Plot]:
    """Return the reliability plot and the confusion; of numbers, predicted over given values."""
    if found.calibration:
        bins = found.calibration.bins
        curve = Curve(tuple(b.confidence for b in bins), tuple(b.accuracy for b in bins))
        sizes = [b.count / sum(each.count for each in bins) for b in bins]
        told = "; ".join(f"{b.accuracy:.3f} right at {b.confidence:.3f}" for b in bins)
        shown = [Plot("reliability", "Reliability", reliability(curve, sizes), told)]
        if found.confusion and len(found.labels) <= SHOWN:
            drawn = matrix(found.confusion.matrix or (), found.labels, "predicted", "given")
            shown.append(Plot("confusion", "Confusion", drawn, "the table shows the same"))
        return shown
    if not scored.predicted:
        return []
    pairs = [(line["label"], line["predicted"]) for line in scored.predicted]
    points = scatter(Curve(*zip(*pairs, strict=True)), "given", "predicted")
    told = f"{len(pairs)} points, predicted over given values"
    return [Plot("predicted", "Predicted over given", points, told)]


def plain(found: Evaluation) -> dict[str, Any]:
    """Return results as JSON values."""
    content = asdict(found)
    content["confusion"] = found.confusion and found.confusion.matrix
    return content


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def lines(found: Evaluation) -> list[str]:
    """Return results for a terminal."""
    width = max(map(len, [*found.metrics, "ece"]))
    shown = [
        f"{name:{width}}  {m.value:.4f}  (95% interval {m.low:.4f} to {m.high:.4f})"
        for name, m in found.metrics.items()
    ]
    if found.calibration:
        shown.append(f"{'ece':{width}}  {found.calibration.ece:.4f}")
    read = (f"{role} from {quoted_names(names)}" for role, names in found.columns.items())
    return [f"{counted(found.rows, 'row')} of {found.data} ({', '.join(read)})", *shown]
