"""What a model's outputs say of a row."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from tartan.batch import LabelKind
from tartan.inference.inputs import Input

Prediction = Mapping[str, Any]
"""What is predicted for a row: `predicted`, a label, a number, labels, or one tag for each word;
`probability` of the predicted label; `probabilities` by label, of each word where words are tagged.
A word that was cut off has None."""


def describe(
    row: Input, outputs: Tensor, kept: Sequence[int], labels: Sequence[str], kind: LabelKind
) -> Prediction:
    """Return what outputs [items, outputs] say of a row.

    Args:
        row: the row.
        outputs: of the row, or of those of its words that have a token.
        kept: the words that have a token, counted from 0.
        labels: the name of each output.
        kind: the kind of labels.
    """
    if kind is LabelKind.NUMBER:
        return {"predicted": outputs.item()}
    found = [
        {"predicted": max(p, key=p.__getitem__), "probability": max(p.values()), "probabilities": p}
        for p in (dict(zip(labels, values, strict=True)) for values in probabilities(outputs))
    ]
    if kind is LabelKind.CLASS:
        return found[0]
    by_word = dict(zip(kept, found, strict=True))
    none: dict[str, Any] = dict.fromkeys(("predicted", "probability", "probabilities"))
    words = [by_word.get(word, none) for word in range(len(row.words))]
    return {name: [word[name] for word in words] for name in none}


def describe_set(outputs: Tensor, labels: Sequence[str], threshold: float) -> Prediction:
    """Return the labels whose probability reaches a threshold, of outputs [1, labels]."""
    found = outputs[0].nan_to_num().sigmoid().tolist()
    shares = {label: round(value, 6) for label, value in zip(labels, found, strict=True)}
    predicted = [label for label, value in zip(labels, found, strict=True) if value >= threshold]
    return {"predicted": predicted, "probabilities": shares}


def probabilities(outputs: Tensor) -> list[list[float]]:
    """Return the softmax of outputs [items, labels]; what is not finite counts as 0 before it."""
    found = outputs.double().nan_to_num().softmax(1).tolist()
    return [[round(value, 6) for value in row] for row in found]
