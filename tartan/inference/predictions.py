"""What a model's outputs say of a row."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from tartan.batch import LabelKind
from tartan.experiment.predictions import greatest, probabilities
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
    shares = (
        {label: round(value, 6) for label, value in zip(labels, values, strict=True)}
        for values in probabilities(outputs).tolist()
    )
    found = [
        {"predicted": label, "probability": probability, "probabilities": by_label}
        for label, probability, by_label in zip(*greatest(outputs, labels), shares, strict=True)
    ]
    if kind is LabelKind.CLASS:
        return found[0]
    by_word = dict(zip(kept, found, strict=True))
    none: dict[str, Any] = dict.fromkeys(("predicted", "probability", "probabilities"))
    words = [by_word.get(word, none) for word in range(len(row.words))]
    return {name: [word[name] for word in words] for name in none}
