"""DeCLUTR (Giorgi et al., ACL 2021): contrastive learning of two spans of the same text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tartan import (
    Batch,
    Context,
    CorpusOptions,
    Loss,
    Objective,
    Packed,
    Row,
    TextBounds,
    check_ranges,
    hookimpl,
    read_corpora,
    similarities,
)


@dataclass
class DeCLUTROptions(CorpusOptions):
    """Options of `declutr`.

    Attributes:
        temperature: divisor of cosine similarities, more than 0.
    """

    temperature: float = 0.05


class DeCLUTR(Objective):
    """Bring two spans of a text together and those of other texts apart. Items: the spans.

    The anchor's length is Beta(4, 2) of the text's, the positive's Beta(2, 4); the positive begins
    anywhere from one length of its own before the anchor to the anchor's end, so that the spans
    overlap, adjoin, or one holds the other (section 3.1; the paper has lengths of 32 to 512 tokens
    of long documents, and several anchors of each). A span is represented by the mean of its hidden
    states, without a projection. The loss is the cross-entropy of each span's partner among all
    other spans of the batch (equations 1 and 2): several micro-batches have fewer negatives than
    one large batch.
    """

    cost: ClassVar[str] = "two spans of each sequence are read"
    Options = DeCLUTROptions
    separable: ClassVar[bool] = False

    def __init__(self, options: DeCLUTROptions, context: Context) -> None:
        super().__init__(options, context)
        check_ranges(context.section, options, temperature="(0, inf)")
        self._temperature = options.temperature
        self._bounds = TextBounds(context)
        self._examples = read_corpora(context, options)

    def examples(self) -> Sequence[Row]:
        """Return the corpus's rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        """Return a batch of the anchors of all rows, followed by their positives."""
        spans = [self._spans(row["input_ids"], rng) for row in rows]
        anchors, positives = zip(*spans, strict=True)
        return Batch(Packed.of([*anchors, *positives]), 2 * len(rows))

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """Return the cross-entropy summed over spans; metric `accuracy`: the partner is nearest."""
        scores = similarities(means(hidden, batch.inputs)) / self._temperature
        count = batch.items
        itself = torch.eye(count, dtype=torch.bool, device=scores.device)
        scores = scores.masked_fill(itself, -torch.inf)
        partner = torch.arange(count, device=scores.device).roll(count // 2)
        right = (scores.argmax(1) == partner).sum()
        return Loss(functional.cross_entropy(scores, partner, reduction="sum"), {"accuracy": right})

    def _spans(self, ids: Sequence[int], rng: torch.Generator) -> tuple[list[int], list[int]]:
        """Sample the anchor and the positive of a text, with the tokenizer's tokens around each."""
        begin, end = self._bounds(ids)
        if begin == end:
            return list(ids), list(ids)
        drawn = torch.rand(5, generator=rng).sort().values
        first = torch.rand(5, generator=rng).sort().values
        where = torch.rand(2, generator=rng).tolist()
        size = end - begin
        # The k-th smallest of n uniform numbers is Beta(k, n + 1 - k).
        long, short = (max(1, round(size * float(share))) for share in (drawn[3], first[1]))
        start = begin + int(where[0] * (size - long + 1))
        low, high = max(begin, start - short), min(start + long, end - short)
        other = low + int(where[1] * (max(high, low) - low + 1))
        around = list(ids[:begin]), list(ids[end:])
        return tuple(  # type: ignore[return-value]
            [*around[0], *ids[at : at + length], *around[1]]
            for at, length in ((start, long), (other, short))
        )


def means(hidden: Tensor, packed: Packed) -> Tensor:
    """Return the mean hidden state of each sequence, [sequences, hidden]."""
    starts = packed.positions == 0
    row = starts.cumsum(0) - 1
    sums = hidden.new_zeros(len(packed.lengths), hidden.shape[1]).index_add(0, row, hidden)
    return sums / packed.offsets.diff()[:, None].to(hidden)


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `declutr`."""
    return {"declutr": DeCLUTR}
