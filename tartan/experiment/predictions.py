"""Predictions of the end task for a split, row by row, beside the given labels."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from datasets import Dataset
from torch import Tensor

from tartan.batch import LabelKind, Row

RowPrediction = Mapping[str, Any]
"""One row: `row`, counted from 0; `text`, also `text_pair` of pairs, or `words`; `label` and
`predicted`, names or numbers; `probability` of what is predicted, except of numbers. Of words, the
last three are lists. Where a row has a set of labels, `label` and `predicted` are lists of names,
and `probabilities` has that of each label."""

TEXTS = frozenset(("text", "text_pair", "words"))
"""The keys of a row's prediction that hold its texts."""


def predictions(
    texts: Dataset,
    rows: Sequence[Row],
    outputs: Sequence[Tensor],
    kind: LabelKind,
    labels: Sequence[str],
    threshold: float,
) -> list[RowPrediction]:
    """Return each row's prediction; none where a plugin has other than one output for each label.

    Args:
        texts: the split, as `Task.dev`.
        rows: its rows, tokenised.
        outputs: the head's outputs for each row, [items, outputs].
        kind: the kind of labels.
        labels: the name of each output.
        threshold: of sets of labels, the probability from which on a label is predicted.
    """
    if any(output.shape[1:] != (len(labels),) for output in outputs):
        return []
    read: Mapping[LabelKind, Callable[..., dict[str, Any]]] = {
        LabelKind.CLASS: _of_class,
        LabelKind.NUMBER: _of_number,
        LabelKind.SETS: partial(_of_set, threshold=threshold),
        LabelKind.TAGS: _of_tags,
    }
    return [
        {"row": number, **read[kind](text, row, output, labels)}
        for number, (text, row, output) in enumerate(zip(texts, rows, outputs, strict=True))
    ]


def without_texts(prediction: RowPrediction) -> RowPrediction:
    """Return a prediction without the texts of its row."""
    return {key: value for key, value in prediction.items() if key not in TEXTS}


def greatest(outputs: Tensor, labels: Sequence[str]) -> tuple[list[str], list[float]]:
    """Return the label with the largest output of each item, and its probability.

    Args:
        outputs: [items, labels]; NaN counts as 0.
        labels: the name of each output.
    """
    ids = outputs.nan_to_num().argmax(1)
    found = probabilities(outputs).gather(1, ids[:, None])[:, 0]
    return [labels[id] for id in ids.tolist()], [round(p, 6) for p in found.tolist()]


def probabilities(outputs: Tensor) -> Tensor:
    """Return the softmax of outputs [items, labels] in float64; NaN counts as 0 before it."""
    return outputs.double().nan_to_num().softmax(1)


def describe_set(outputs: Tensor, labels: Sequence[str], threshold: float) -> dict[str, Any]:
    """Return the labels whose probability reaches a threshold, of outputs [1, labels], and all.

    Probabilities are compared in float32, as `multilabel` does.
    """
    found = outputs[0].float().nan_to_num().sigmoid()
    predicted = [labels[id] for id in (found >= threshold).nonzero()[:, 0].tolist()]
    rounded = [round(p, 6) for p in found.tolist()]
    return {"predicted": predicted, "probabilities": dict(zip(labels, rounded, strict=True))}


def _of_class(
    text: Mapping[str, Any], row: Row, output: Tensor, labels: Sequence[str]
) -> dict[str, Any]:
    """Return the class with the largest output, and its probability."""
    (predicted,), (probability,) = greatest(output, labels)
    label = labels[row["label"]]
    return {**_text(text), "label": label, "predicted": predicted, "probability": probability}


def _of_number(
    text: Mapping[str, Any], row: Row, output: Tensor, _: Sequence[str]
) -> dict[str, Any]:
    return {**_text(text), "label": row["label"], "predicted": output.nan_to_num().item()}


def _of_set(
    text: Mapping[str, Any], row: Row, output: Tensor, labels: Sequence[str], threshold: float
) -> dict[str, Any]:
    label = [labels[id] for id in row["label"]]
    return {**_text(text), "label": label, **describe_set(output, labels, threshold)}


def _of_tags(
    text: Mapping[str, Any], row: Row, output: Tensor, labels: Sequence[str]
) -> dict[str, Any]:
    """Return the tags of the words that have a token."""
    predicted, sure = greatest(output, labels)
    return {
        "words": [text["words"][word] for word in row["kept"]],
        "label": [labels[tag] for tag in row["label"]],
        "predicted": predicted,
        "probability": sure,
    }


def _text(text: Mapping[str, Any]) -> dict[str, str]:
    return {name: text[name] for name in ("text", "text_pair") if name in text}
