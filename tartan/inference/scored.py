"""A finished run's end task, built from its exported model, to score labelled rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor

from tartan.batch import LabelKind, Row
from tartan.body import ModelSource
from tartan.body.exported import exported_source
from tartan.data import tokenize
from tartan.data.files import FilesOptions, find_files, find_labelled
from tartan.data.formats import open_table
from tartan.data.notices import lost_notices
from tartan.data.reader import reads_segments
from tartan.data.rows import PAIR
from tartan.data.splits import SplitReader
from tartan.errors import CheckpointError, DataError
from tartan.experiment.blame import blamed
from tartan.experiment.context import TaskContext
from tartan.experiment.predictions import RowPrediction, predictions
from tartan.experiment.sections import PRIMARY, Section, end_task_class
from tartan.experiment.texts import TokenizedTexts, Training
from tartan.inference.model import (
    check_pairs,
    completed,
    finished_summary,
    long_texts,
    named_columns,
    read_pairs,
    separator,
    trusted,
)
from tartan.inference.seen import SeenRows
from tartan.objective import PrimaryObjective
from tartan.plugins import Plugins
from tartan.report.record import MODEL, SUMMARY
from tartan.train.evaluate import evaluate
from tartan.train.model import JointModel
from tartan.train.runtime import Runtime


@dataclass(frozen=True)
class FinishedRun:
    """What evaluation needs of a run.

    Attributes:
        directory: the run's.
        summary: the content of summary.json.
        primary: the end task's part of the configuration.
    """

    directory: Path
    summary: Mapping[str, Any]
    primary: Mapping[str, Any]

    @classmethod
    def read(cls, directory: Path) -> "FinishedRun":
        """Read a run. CheckpointError unless it is complete and says how it was configured."""
        summary = finished_summary(directory)
        if not (directory / MODEL).is_dir():
            raise CheckpointError(
                f"{directory / MODEL} is missing: give the run's command again to export it"
            )
        try:
            primary = summary["identity"]["parts"]["configuration"]["primary"]
            return cls(directory, summary, {**primary, **summary["task"].get("scoring", {})})
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                f"{directory / SUMMARY} does not say how the run was configured: an older version "
                "wrote it. Use that version, or train it again"
            ) from error

    @property
    def kind(self) -> LabelKind:
        """Return the kind of its labels."""
        return LabelKind(self.summary["task"]["kind"])

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the names of its outputs."""
        return tuple(self.summary["task"]["labels"])


@dataclass(frozen=True)
class Scored:
    """Labelled rows with a model's outputs.

    Attributes:
        end_task: computes the metrics.
        rows: tokenised and labelled.
        outputs: of each row, [items, outputs].
        predicted: each row's prediction; none where a plugin has other outputs than its labels.
        columns: the column of each role that was read; a list where each label has one of its own.
        notices: what the user should know, a line each.
    """

    end_task: PrimaryObjective
    rows: Sequence[Row]
    outputs: Sequence[Tensor]
    predicted: Sequence[RowPrediction]
    columns: Mapping[str, str | list[str]]
    notices: Sequence[str]

    def score(self, chosen: Sequence[int]) -> dict[str, float]:
        """Return the metrics of some rows, by their numbers."""
        outputs = torch.cat([self.outputs[row] for row in chosen])
        return self.end_task.score(outputs, [self.rows[row] for row in chosen])


def score_file(
    run: FinishedRun,
    path: Path,
    given: Mapping[str, Any],
    plugins: Plugins,
    batch_size: int,
    device: str,
) -> Scored:
    """Compute a run's outputs for a file of labelled rows, as its own evaluation does.

    Args:
        run: the run.
        path: a file of any format that `data=files` reads.
        given: the columns that are given, by role.
        plugins: the installed plugins.
        batch_size: rows that the model reads at once.
        device: `auto`, or a torch device.

    Raises:
        TartanError: the run, the file or a row cannot be used.
    """
    runtime = Runtime.choose(device, "fp32")
    texts, columns, seen = _read(run, path, given)
    long = vars(long_texts(run.summary))
    source = replace(exported_source(run.directory / MODEL, trusted(run.summary)), **long)
    segments = reads_segments(source.tokenizer, source.config)
    tokenized = tokenize(texts, source.tokenizer, source.max_length, segments, **long)
    pairs, none = PAIR in texts.column_names, TokenizedTexts({}, source)
    training = Training(path.stem, run.kind, run.labels, pairs, tokenized.rows, none)
    with blamed(plugins):
        joint, notices = _joint(run, training, source, plugins)
        joint.to(runtime.device)
        _, outputs = evaluate(joint, tokenized.rows, batch_size, runtime)
    threshold = getattr(source.config, "threshold", 0.5)
    predicted = predictions(texts, tokenized.rows, outputs, run.kind, run.labels, threshold)
    lost = lost_notices(path.name, tokenized.counts, source.max_length, "not scored")
    return Scored(
        joint.end_task, list(tokenized.rows), outputs, predicted, columns, [*seen, *notices, *lost]
    )


def _read(
    run: FinishedRun, path: Path, given: Mapping[str, Any]
) -> tuple[Dataset, dict[str, str | list[str]], list[str]]:
    """Return a file's rows, whose labels are among the run's, the columns read, and notices."""
    if not path.is_file():
        what = "a directory" if path.is_dir() else "no such file"
        raise DataError(f"{path}: {what}: give one file of labelled texts")
    given = completed(given, named_columns(run.summary), open_table([path]).columns)
    wanted = FilesOptions(path=str(path), label_separator=separator(run.summary), **given)
    found = find_labelled(find_files(wanted), wanted, run.kind)
    check_pairs(read_pairs(run.summary), found.columns, path.name)
    reader = SplitReader(path.name, run.kind, None)
    reader.labels = run.labels
    seen = SeenRows(run.directory, run.summary)
    rows = seen.read(found.numbered("train", run.kind, known=True))
    read = reader.held_out_split("the file", rows).rows
    return read, found.read(), seen.notices(path.name)


def _joint(
    run: FinishedRun, training: Training, source: ModelSource, plugins: Plugins
) -> tuple[JointModel, list[str]]:
    """Return the end task on its exported body, and its notices.

    Those on a head that training begins from are left out: this head is the run's own.
    """
    name = str(run.primary["plugin"])
    cls = end_task_class(name, plugins)
    body = source.body()
    seed, section = int(run.summary.get("seed", 0)), Section(name, PRIMARY, run.primary)
    context = TaskContext(name, training, body, seed, section=section.where)
    end_task = cls(section.options(cls), context)
    return JointModel(body, name, {name: end_task}), context.notices
