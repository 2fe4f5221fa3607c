"""Sentence order prediction (ALBERT: Lan et al., ICLR 2020, section 3.1)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
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
    WordStarts,
    hookimpl,
    read_corpora,
)


class SOP(Objective):
    """Predict whether the two parts of a text were swapped. Items: texts of at least two words.

    A text is cut before the word nearest to its middle (ALBERT cuts between sentences), and its
    parts are swapped with probability 1/2. They stand in one segment, with the tokenizer's final
    special tokens between them; as many tokens are left out at the end, so that no sequence grows.
    Where a tokenizer marks the space before a word (byte-level BPE), both parts are tokenised as
    texts of their own: else the first token alone would tell which part stands first.
    The classifier reads the first token's hidden state, in a decoder the last one's, through a
    dense layer and tanh.
    """

    Options = CorpusOptions

    def __init__(self, options: CorpusOptions, context: Context) -> None:
        super().__init__(options, context)
        self._word_starts = WordStarts(context, "leave the objective out")
        self._bounds = TextBounds(context)
        self._respelled = context.tokenizer if marks_spaces(context) else None
        self._examples = read_corpora(context, options)
        size, self._last = context.hidden_size, context.causal
        self.head = nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, 1))

    def examples(self) -> Sequence[Row]:
        """Return the corpus's rows."""
        return self._examples

    def collate(self, rows: Sequence[Row], rng: torch.Generator) -> Batch:
        """Cut and swap the rows.

        Targets, [items]: `firsts` int64, the tokens that are read, and `swapped` bool.
        """
        swap = (torch.rand(len(rows), generator=rng) < 0.5).tolist()
        made = [self._parts(row["input_ids"], swap[n]) for n, row in enumerate(rows)]
        inputs = Packed.of([ids for ids, _ in made])
        kept = torch.tensor([divided for _, divided in made])
        firsts = inputs.pooled(last=self._last)[kept]
        targets = {"firsts": firsts, "swapped": torch.tensor(swap)[kept]}
        return Batch(inputs.want(firsts), len(firsts), targets, token_indices=("firsts",))

    def loss(self, hidden: Tensor, batch: Batch) -> Loss:
        """Return the binary cross-entropy summed over texts, with the metric `accuracy`."""
        logits = self.head(hidden.index_select(0, batch.targets["firsts"])).squeeze(1).float()
        swapped = batch.targets["swapped"]
        total = functional.binary_cross_entropy_with_logits(
            logits, swapped.float(), reduction="sum"
        )
        return Loss(total, {"accuracy": ((logits > 0) == swapped).sum()})

    def _parts(self, ids: Sequence[int], swapped: bool) -> tuple[list[int], bool]:
        """Return a text's parts in order or swapped, and whether it could be divided."""
        begin, end = self._bounds(ids)
        before, after = list(ids[:begin]), list(ids[end:])
        text = list(ids[begin : max(begin, end - len(after))])
        if not text:
            return list(ids), False
        starts = self._word_starts(Packed.of([text])).nonzero().squeeze(1).tolist()[1:]
        if not starts:
            return list(ids), False
        cut = min(starts, key=lambda place: abs(place - len(text) / 2))
        first, second = self._begun(text[:cut]), self._begun(text[cut:])
        second = second[: max(1, len(text) - len(first))]
        parts = (second, first) if swapped else (first, second)
        return [*before, *parts[0], *after, *parts[1], *after], True

    def _begun(self, part: list[int]) -> list[int]:
        """Return a part of a text as a text begins."""
        if self._respelled is None:
            return part
        text = str(self._respelled.decode(part, clean_up_tokenization_spaces=False))
        found: list[int] = self._respelled(text.lstrip(), add_special_tokens=False)["input_ids"]
        return found or part


def marks_spaces(context: Context) -> bool:
    """Return whether a word has other tokens at the beginning of a text than within it."""
    ids = context.tokenizer("a a", add_special_tokens=False)["input_ids"]
    half = len(ids) // 2
    return bool(ids[:half] != ids[half:])


@hookimpl
def tartan_objectives() -> dict[str, type[Objective]]:
    """Offer `sop`."""
    return {"sop": SOP}
