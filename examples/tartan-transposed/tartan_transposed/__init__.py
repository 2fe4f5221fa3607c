"""The objective `transposed`: detect tokens that were swapped with a neighbour.

Inspired by the word-structural objective of StructBERT (Wang et al., ICLR 2020), as a binary
classification of each token, with a new head.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from tartan import Batch, Context, Loss, Objective, Packed, Row, check_ranges, hookimpl


@dataclass
class TransposedOptions:
    """Options of `transposed`.

    Attributes:
        corpus: the corpus to read: `task`, the end task's texts, or `domain`.
        swap_prob: probability that two neighbours are swapped.
    """

    corpus: str = "task"
    swap_prob: float = 0.15


class Transposed(Objective):
    """Classify each token as moved or not. Items: the tokens of a batch."""

    Options = TransposedOptions

    def __init__(self, options: TransposedOptions, context: Context) -> None:
        super().__init__(options, context)
        check_ranges(context.section, options, swap_prob="(0, 1]")
        self._swap_prob = options.swap_prob
        self._examples = context.corpus(options.corpus)
        self.head = nn.Linear(context.hidden_size, 1)

    def examples(self) -> Sequence[Row]:
        """Return the corpus's rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        """Swap neighbours. Targets: `moved` [tokens] float, 1 or 0."""
        tokens = [torch.tensor(row["input_ids"]) for row in rows]
        orders = [swapped(len(row), self._swap_prob, rng) for row in tokens]
        seen = [row[order] for row, order in zip(tokens, orders, strict=True)]
        moved = torch.cat([a != b for a, b in zip(tokens, seen, strict=True)]).float()
        inputs = Packed.of([row.tolist() for row in seen])
        return Batch(inputs, len(moved), {"moved": moved})

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """Return the binary cross-entropy, summed over the tokens."""
        scores, moved = self.head(hidden).squeeze(1).float(), batch.targets["moved"]
        right = ((scores > 0) == moved.bool()).sum()
        total = functional.binary_cross_entropy_with_logits(scores, moved, reduction="sum")
        return Loss(total, {"accuracy": right})


def swapped(length: int, share: float, rng: torch.Generator) -> Tensor:
    """Return an order of `length` tokens, [length] int64, in which some neighbours are swapped.

    The first and the last token, which are special tokens, stay in place.
    """
    order = torch.arange(length)
    chosen = torch.rand(length, generator=rng) < share
    place = 1
    while place + 2 < length:
        if chosen[place]:
            order[place], order[place + 1] = place + 1, place
            place += 1
        place += 1
    return order


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `transposed`."""
    return {"transposed": Transposed}
