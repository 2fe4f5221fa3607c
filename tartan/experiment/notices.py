"""Collect what the user should know of a run's data before it starts, a line each."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tartan.batch import LabelKind
from tartan.body import Body
from tartan.data.notices import (
    corpus_notices,
    label_notices,
    leak_notices,
    subset_notices,
    token_notices,
)
from tartan.data.task import Task
from tartan.errors import shown
from tartan.experiment.predictions import RowPrediction
from tartan.experiment.texts import Texts
from tartan.sizes import counted
from tartan.spelling import spelled


def end_task_notices(texts: Texts) -> list[str]:
    """Return what is left out of the end task's texts, and what makes its labels doubtful."""
    task = texts.task
    lost = token_notices(texts.tokenized, texts.source.max_length)
    doubtful = corpus_notices(task) + leak_notices(task) + label_notices(task)
    if texts.source.long != "truncate":
        lost.append(
            f"Long texts are read by model.long={texts.source.long}. Plain transformers cuts them "
            "at the end: docs/models.md shows how to read them as this run does."
        )
    if texts.source.replaced_sparse:
        lost.append(
            "The model's block-sparse attention is replaced by full attention, in model/ too: if "
            "memory is short, lower model.max_length."
        )
    return [*task.notes, *subset_notices(task), *doubtful, *lost]


def auxiliary_notices(dropped: Mapping[str, int], texts: Mapping[str, Texts]) -> list[str]:
    """Return what is left out of the data of auxiliary objectives on labels.

    Args:
        dropped: how many rows the end task's dev and test forbid, by objective.
        texts: what is left, by objective.
    """
    notices = [
        f"{counted(count, 'row')} of objectives.{name} also "
        f"{'appears' if count == 1 else 'appear'} in the end task's dev or test and "
        f"{'was' if count == 1 else 'were'} left out."
        for name, count in dropped.items()
        if count
    ]
    for name, its in texts.items():
        lost = token_notices(its.tokenized, its.source.max_length)
        labels = [*its.task.notes, *subset_notices(its.task), *label_notices(its.task)]
        notices += [f"objectives.{name}: {line}" for line in (*labels, *lost)]
    return notices


def body_notices(body: Body) -> list[str]:
    """Return which of a body's parameters train, and what its exported model needs."""
    notices = []
    numbers = [(p.numel(), p.requires_grad) for p in body.parameters()]
    if not all(trains for _, trains in numbers):
        total, trained = sum(n for n, _ in numbers), sum(n for n, trains in numbers if trains)
        share = f"{trained / total:.2%}"
        notices.append(f"Trains {trained:,} of the body's {total:,} parameters ({share}).")
    if body.unpadded_because is not None:
        notices.append(
            "Padding changes this family's results: give the exported model one text at a time."
        )
    return notices


def prediction_notices(predicted: Sequence[RowPrediction], task: Task) -> list[str]:
    """Return a sentence where the model predicts one and the same class for all of dev.

    Args:
        predicted: of dev, of the best model.
        task: the end task.
    """
    if task.kind not in (LabelKind.CLASS, LabelKind.TAGS):
        return []
    found: set[str] = set()
    given: Counter[str] = Counter()
    for line in predicted:
        tagged = isinstance(line["label"], list)
        found.update(line["predicted"] if tagged else [line["predicted"]])
        given.update(line["label"] if tagged else [line["label"]])
    if len(found) != 1 or len(given) < 2:
        return []
    (only,) = found
    name = shown(spelled(only))
    noun = "word" if task.kind is LabelKind.TAGS else "row"
    remedy = "train longer, with another learning rate or seed"
    if task.kind is LabelKind.CLASS:
        remedy += ", or set primary.class_weights=balanced"
    return [
        f"The best model predicts only '{name}', for all {given.total()} {noun}s of dev, of which "
        f"{given[only]} have it: {remedy}."
    ]


def unused_notices(
    configured: Iterable[str], trained: Sequence[str], *, end_task: bool
) -> list[str]:
    """Name the objectives that no stage trains.

    Args:
        configured: the auxiliary objectives.
        trained: those that a stage trains, after the end task.
        end_task: whether a stage trains the end task's head.
    """
    unused = ", ".join(sorted(set(configured) - set(trained)))
    notices = [f"No stage trains {unused}: left out."] if unused else []
    if not end_task:
        notices.append(
            f"No stage trains {trained[0]}, the end task: its head keeps its initial weights."
        )
    return notices
