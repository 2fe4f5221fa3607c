"""Tokens, words and spans are masked with the probability `mask_prob`, and as units."""

import pytest
import torch

from support.context import TinyContext
from tartan import ConfigError, Packed
from tartan.span_masking import SpanLengths, choose_spans
from tartan_objectives.mlm import MLM, MLMOptions

ROWS = [{"input_ids": [0, *range(5, 5 + length), 2]} for length in (3, 60, 1, 17, 40)]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Twos:
    """Words of two tokens each, counted from the start of a sequence."""

    def __call__(self, packed: Packed) -> torch.Tensor:
        return torch.tensor([n % 2 == 0 for length in packed.lengths for n in range(length)])


def make(given: TinyContext, **options) -> MLM:
    objective = MLM(MLMOptions(**options), given)
    if options["masking"] != "token":
        objective._word_starts = Twos()
    return objective


@pytest.mark.parametrize("masking", ["token", "word", "span"])
@pytest.mark.parametrize("share", [0.15, 0.5, 0.9])
def test_each_token_is_masked_with_the_same_probability(
    masking: str, share: float, given: TinyContext
):
    objective = make(given, masking=masking, mask_prob=share)
    tokens, trials = sum(len(row["input_ids"]) for row in ROWS), 3000
    masked = torch.zeros(tokens)
    for trial in range(trials):
        masked[objective.collate(ROWS, rng(trial)).targets["indices"]] += 1
    special = torch.tensor([t in (0, 2) for row in ROWS for t in row["input_ids"]])
    assert not masked[special].any()
    # Five standard errors of a frequency.
    error = 5 * (share * (1 - share) / trials) ** 0.5
    assert (masked[~special] / trials - share).abs().max() < error


def test_words_are_masked_completely_or_not_at_all(given: TinyContext):
    objective = make(given, masking="word", mask_prob=0.4)
    (row,) = rows = [{"input_ids": [5] * 300}]
    indices = objective.collate(rows, rng()).targets["indices"]
    masked = torch.zeros(len(row["input_ids"]), dtype=torch.bool)
    masked[indices] = True
    pairs = masked.view(-1, 2)
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert 0 < pairs[:, 0].float().mean() < 1


def test_spans_have_the_lengths_of_the_paper():
    lengths = SpanLengths(0.2, 10)
    assert lengths.mean == pytest.approx(3.8, abs=0.01)  # section 3.1
    expected = [0.8**n * 0.2 / (1 - 0.8**10) for n in range(10)]
    assert lengths.probabilities.tolist() == pytest.approx(expected)
    masked, number = choose_spans(torch.tensor([200_000]), lengths, 0.15, rng())
    numbers = number[masked]
    _, sizes = numbers.unique_consecutive(return_counts=True)
    shares = torch.bincount(sizes[:-1], minlength=11)[1:] / (len(sizes) - 1)
    assert len(sizes) > 7000
    assert shares.tolist() == pytest.approx(expected, abs=0.02)
    assert sizes.max() == 10


def test_spans_of_different_sequences_are_independent_and_end_with_their_sequence():
    words = torch.full((4000,), 6)
    masked, number = choose_spans(words, SpanLengths(0.2, 10), 0.3, rng())
    assert (number <= torch.arange(6)).all()
    assert (number >= 0).all()
    first, last = masked[:, 0].double(), masked[:, -1].double()
    correlation = torch.corrcoef(torch.stack([last[:-1], first[1:]]))[0, 1]
    assert correlation.abs() < 0.08


def test_all_words_of_a_span_are_replaced_alike(given: TinyContext):
    objective = make(given, masking="span", mask_prob=0.3, mask_share=0.5, random_share=0.0)
    objective._word_starts = lambda packed: torch.ones(len(packed.input_ids), dtype=torch.bool)
    row = [5] * 400
    batch = objective.collate([{"input_ids": row}, {"input_ids": row}], rng())
    indices = batch.targets["indices"]
    kept = batch.inputs.input_ids[indices] == 5
    runs = (indices.diff() != 1).nonzero().squeeze(1) + 1
    alike = [bool(part.all() or (~part).all()) for part in kept.tensor_split(runs)]
    assert 0.3 < kept.float().mean() < 0.7
    # Adjacent spans may differ; tokens that are replaced one by one would nearly always.
    assert sum(alike) / len(alike) > 0.75


def test_a_share_of_1_masks_everything(given: TinyContext):
    objective = make(given, masking="span", mask_prob=1.0)
    tokens = sum(len(row["input_ids"]) - 2 for row in ROWS)
    assert objective.collate(ROWS, rng()).items == tokens


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"masking": "words"}, "objectives.mine.masking=words: did you mean 'word'?"),
        ({"span_p": 0.0}, "objectives.mine.span_p must be in (0, 1], got 0.0."),
        ({"span_p": float("nan")}, "objectives.mine.span_p must be in (0, 1], got nan."),
        ({"span_max": 0}, "objectives.mine.span_max must be at least 1, got 0."),
    ],
)
def test_options_without_meaning_are_refused(given: TinyContext, options: dict, line: str):
    with pytest.raises(ConfigError) as caught:
        MLM(MLMOptions(**options), given)
    assert str(caught.value) == line
