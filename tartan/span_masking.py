"""Spans of words to mask, with lengths from a bounded geometric distribution (SpanBERT).

Joshi et al., TACL 2020, section 3.1, sample a length of 1 to 10 words with probability proportional
to (1 - p)^(length - 1) p, p = 0.2, and repeat until 15 % of a sequence's tokens are masked. Here
spans and gaps alternate (a renewal process in equilibrium): spans have the paper's lengths, gaps
have 0 or more words and a geometric distribution, whose mean follows from the share to mask. Each
word of a sequence, the first included, is then masked with exactly that probability. Spans end at
the end of their sequence.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SpanLengths:
    """The distribution of the lengths of spans, in words.

    Attributes:
        p: parameter of the geometric distribution, in (0, 1].
        longest: the longest span, at least 1.
    """

    p: float
    longest: int

    @property
    def probabilities(self) -> Tensor:
        """[longest] float64: probabilities of the lengths 1, 2 and so on."""
        weights = (1 - self.p) ** torch.arange(self.longest, dtype=torch.float64)
        return weights / weights.sum()

    @property
    def remaining(self) -> Tensor:
        """[longest] float64: probabilities of 1, 2, ... words left of a span, from any word on."""
        longer = self.probabilities.flip(0).cumsum(0).flip(0)  # probability of at least this length
        return longer / longer.sum()

    @property
    def mean(self) -> float:
        """The mean length."""
        lengths = torch.arange(1, self.longest + 1, dtype=torch.float64)
        return float((self.probabilities * lengths).sum())


def choose_spans(
    words: Tensor, lengths: SpanLengths, share: float, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Sample spans of words to mask in sequences, each independently, on the CPU.

    Args:
        words: [sequences] int64, the number of words of each.
        lengths: the distribution of lengths.
        share: the probability that a word is masked, in (0, 1].
        rng: for the random choices.

    Returns:
        For each sequence up to the most words of one: [sequences, words] bool, whether a word is
        masked, and [sequences, words] int64, the number of its span, or of the one before it;
        a span's number is at most that of its first word, counted from 0.
    """
    rows, most = len(words), int(words.max())
    sizes = _sample(lengths.probabilities, (rows, most + 1), rng)
    gaps = _gaps(lengths.mean * (1 - share) / share, (rows, most + 1), rng)
    within = torch.rand(rows, generator=rng) < share  # whether a sequence begins within a span
    sizes[:, 0] = torch.where(within, _sample(lengths.remaining, (rows,), rng), 0)
    gaps[:, 0] += (~within).long()
    # Spans and gaps in turn: where each span ends and where the next one begins.
    ends = sizes.cumsum(1) + gaps.cumsum(1) - gaps
    begins = ends + gaps
    word = torch.arange(most).expand(rows, most).contiguous()
    number = torch.searchsorted(ends, word, right=True)  # the first span that ends after a word
    previous = begins.gather(1, (number - 1).clamp_min(0))
    masked = (number == 0) | (word >= previous)
    return masked, number - (~within).long()[:, None]


def _gaps(mean: float, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Sample gaps, int64: 0 or more words, geometric with a mean."""
    if mean == 0:
        return torch.zeros(shape, dtype=torch.int64)
    sample = torch.rand(shape, generator=rng, dtype=torch.float64)
    stays = torch.tensor(mean / (1 + mean), dtype=torch.float64)
    gaps = (1 - sample).log() / stays.log()
    return gaps.clamp_max(2.0**40).long()  # sums stay within int64


def _sample(probabilities: Tensor, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Sample lengths, int64, from the probabilities of 1, 2 and so on."""
    sample = torch.rand(shape, generator=rng, dtype=torch.float64)
    bounds = probabilities.cumsum(0)[:-1].contiguous()
    return 1 + torch.searchsorted(bounds, sample, right=True)
